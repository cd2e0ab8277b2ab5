"""Audits: whether the chain of a version holds, from MLflow over git and DVC to raw samples; what depends on what."""
