"""report.html of a version: what was made, how good it is, and what it looks like."""
