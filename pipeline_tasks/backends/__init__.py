"""Generators behind one protocol: inpainting and paste."""
