"""The inpainting generator: network, flow matching, windows, training."""
