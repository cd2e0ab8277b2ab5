"""MLflow: runs, datasets, models."""
