"""Great Expectations over the pair manifest, and detector metrics."""
