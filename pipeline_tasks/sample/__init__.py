"""The sample product: drawn machined plates with known defects."""
