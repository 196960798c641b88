"""Layers of the YOLO forks."""
