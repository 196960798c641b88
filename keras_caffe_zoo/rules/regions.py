"""Layers of the R-CNN forks: regions of an image, and what is pooled in them."""
