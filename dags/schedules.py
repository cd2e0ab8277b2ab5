"""When a DAG runs by itself: as a cron schedule in the environment says."""

import os
from typing import Any

from airflow.sdk import CronTriggerTimetable, timezone


def by_cron(variable: str, default: str) -> dict[str, Any]:
    """Return a DAG's options for the schedule that the environment `variable` holds (UTC; 'none': no schedule).

    From DEFECTLINE_SCHEDULE_START on, where that is set: an Airflow just started does not make up for the last slot.
    """
    cron, start = os.environ.get(variable) or default, os.environ.get("DEFECTLINE_SCHEDULE_START")
    return {
        "schedule": None if cron == "none" else CronTriggerTimetable(cron, timezone="UTC"),
        "start_date": timezone.parse(start) if start else None,
        "catchup": False,
    }
