"""The DiT generator (DefectDiffu): background, defect and fusion parts, each with its own prompt; masks of its own."""
