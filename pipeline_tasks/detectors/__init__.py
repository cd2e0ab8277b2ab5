"""Networks that find defects: what they learn from, and what they say of an image (METHODS section 5)."""
