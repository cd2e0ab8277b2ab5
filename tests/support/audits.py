"""Audits as JSON values have them, and links of every step."""

from collections.abc import Sequence
from typing import Any

from rows import digest

from pipeline_tasks.audit.chain import Audit, Link

REVISION = digest("revision")[:40]
NAMES = (
    "defectline-plate-dataset version 4: files",
    "git tag dataset-4",
    f"git commit {REVISION[:12]}",
    "the release before dataset-4",
    "lineage.json",
    "objects of data/base/plate",
    "objects of data/pairs/plate/pit",
    "stage ingest@plate",
    "samples of plate",
    "rows of plate/pit",
    "code of the pairs",
    "raw samples of plate",
    "pair plate/pit/000003 made again",
)


def links(**verdicts: tuple[str, ...]) -> list[Link]:
    """Return a link for each of NAMES, all ok but the `broken` and `unchecked` ones, by how their names begin."""
    found = []
    for name in NAMES:
        verdict = next((v for v, begins in verdicts.items() if name.startswith(begins)), "ok")
        remedy = "" if verdict == "ok" else f"what to do about {name}"
        found.append(Link(name, verdict, f"found about {name}", remedy))  # type: ignore[arg-type]
    return found


def sample(path: str, defect: str = "pit", split: str = "base", origin: str | None = None) -> dict[str, Any]:
    """Return a real sample as an audit names it."""
    blank = {"group": None, "derived_from": origin}
    return {"source_path": path, "sha256": digest(path), "defect": defect, "split": split, **blank}


SAMPLES = {
    "plate": [
        sample("test/pit/000.png"),
        sample("train/good/000.png", "good"),
        sample("test/pit/000.png#defect_free", "good", origin="test/pit/000.png"),
        *(sample(f"test/pit/{number:03d}.png", split="test") for number in range(1, 13)),
    ]
}


def audit(found: Sequence[Link], number: int | None = 4, samples: dict[str, Any] | None = None) -> Audit:
    """Return an audit with these links."""
    return Audit("latest", "0123456789ab", number, REVISION, found, SAMPLES if samples is None else samples)
