"""Recurrent layers, their cells and wrappers along time."""
