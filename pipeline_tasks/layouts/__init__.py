"""Readers of the folder layouts users bring."""
