"""Layers that reshape, crop and pad."""
