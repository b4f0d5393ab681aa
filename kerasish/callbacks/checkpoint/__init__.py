"""Checkpoints of weights, and of whole runs."""
