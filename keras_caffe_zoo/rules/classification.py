"""Layers of the forks that classify: SENet, ShuffleNet, MobileNet."""
