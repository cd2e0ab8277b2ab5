"""What runs told OpenLineage, read from the file that it goes to."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class Told:
    """The events in a file, a line of JSON each."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text()
        self.events: list[Event] = [json.loads(line) for line in self.text.splitlines()]

    def of(self, job: str) -> dict[str, Event]:
        """Return the events of a job, 'DAG' or 'DAG.TASK', by type; of two of one type, the later."""
        return {event["eventType"]: event for event in self.events if event["job"]["name"] == job}


def versions(event: Event, side: str, namespace: str = "dvc://defectline") -> dict[str, str | None]:
    """Return the datasets, all of one namespace, of an event's inputs or outputs: versions, if any, by name."""
    assert {each["namespace"] for each in event[side]} <= {namespace}
    return {each["name"]: each["facets"].get("version", {}).get("datasetVersion") for each in event[side]}


def parts(event: Event) -> dict[str, list[str]]:
    """Return which parts of its inputs an event says were read, where it was not all of one."""
    facets = {each["name"]: each["inputFacets"] for each in event["inputs"]}
    return {name: each["subset"]["inputCondition"]["locations"] for name, each in facets.items() if each}


def facets_in(event: Any) -> Iterator[Event]:
    """Yield every facet in an event, or in a part of one."""
    for key, value in event.items() if isinstance(event, dict) else enumerate(event):
        if str(key).lower().endswith("facets"):
            yield from value.values()
        elif isinstance(value, dict | list):
            yield from facets_in(value)
