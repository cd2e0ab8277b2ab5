"""Defect masks: shapes, interpolation, placement."""
