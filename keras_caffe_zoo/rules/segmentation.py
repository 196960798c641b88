"""Layers of the forks that segment: DeepLab, PSPNet, SegNet, ENet."""
