"""Layers of SSD: boxes, and the detections among them."""
