"""What one DAG makes and another waits for."""

from airflow.sdk import Asset

DATASET = Asset(name="defectline_dataset", uri="dvc://defectline/dataset")
"""A published data set."""
DETECTOR = Asset(name="defectline_detector", uri="dvc://defectline/detector")
"""The detectors of every product, trained on what is champion among its data sets."""
