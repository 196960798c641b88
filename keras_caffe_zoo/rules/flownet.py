"""Layers of FlowNet 2: optical flow."""
