"""Functional models as graphs of layer and op calls."""
