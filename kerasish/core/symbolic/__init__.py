"""Symbolic tensors and what records the graph between them."""
