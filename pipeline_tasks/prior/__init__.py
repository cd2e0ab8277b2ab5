"""The inpainting generator's prior: its training on drawn surfaces with drawn defects, and what it has learned."""
