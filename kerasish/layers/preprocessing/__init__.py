"""Layers that prepare text, categories, numbers and sound."""
