"""The objects of a model in the order of its files."""
