"""Which samples may be learned from: protocols, the stored membership, and the guard that every stage stands behind."""
