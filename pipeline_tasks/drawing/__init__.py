"""Drawn surfaces and defects: what the sample product shows, and a world of textures and damage to learn from."""
