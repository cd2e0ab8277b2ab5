"""Scores of detectors, and of pairs against real defects (METHODS section 5)."""
