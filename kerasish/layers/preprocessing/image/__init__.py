"""Layers that resize and augment images."""
