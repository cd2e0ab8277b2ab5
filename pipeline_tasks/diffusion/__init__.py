"""Latent diffusion: the frozen base model, what it sees of images, masks between masks."""
