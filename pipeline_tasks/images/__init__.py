"""Pixels: decoding, foreground, compositing, defect-free counterparts."""
