"""What one DAG makes and another waits for."""

from airflow.sdk import Asset

DATASET = Asset(name="defectline_dataset", uri="dvc://defectline/dataset")
"""A published data set."""
DETECTOR = Asset(name="defectline_detector", uri="dvc://defectline/detector")
"""The detectors of every product, trained on what is champion among its data sets."""
BROKEN = Asset(name="defectline_lineage_broken", uri="dvc://defectline/lineage_broken")
"""The alarm that what is champion can no longer be traced to all that it came from."""
