"""`defectline compare`: what changed between two versions, and why."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import OptionalName
from pipeline_tasks.commands.versions import VERSION_HELP, opened

if TYPE_CHECKING:
    from pipeline_tasks.audit.comparison import Side
    from pipeline_tasks.commands.versions import Opened

ARMS = ("chosen", "real_flip")
SCORES = ("pixel_ap", "accuracy")


def compare(
    old: Annotated[str, typer.Argument(help=VERSION_HELP)],
    new: Annotated[str, typer.Argument(help="the same")],
    product: OptionalName = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of sentences")] = False,
) -> None:
    """Show what changed from one version to another, and why: causes, what each stage made of them, and numbers."""
    from pipeline_tasks.audit.comparison import compare as compare_versions
    from pipeline_tasks.audit.comparison_text import lines

    with opened(old, product) as first, opened(new, product) as second:
        found = compare_versions(Path.cwd(), _side(first), _side(second))
    print(json.dumps(found.to_json(), indent=2) if as_json else "\n".join(lines(found)))


def _side(version: "Opened") -> "Side":
    from pipeline_tasks.audit.comparison import Side
    from pipeline_tasks.errors import DefectlineError

    record, scores, missing = None, dict[str, float](), []
    try:
        record = version.record
        reason = "it was published without one"
    except DefectlineError as error:
        reason = str(error)
    if record is None:
        missing.append(f"its lineage.json, so which raw samples it has and how many pairs: {reason}")
    for product in version.catalog.products:
        try:
            scores |= _scores(version, product)
        except DefectlineError as error:
            missing.append(f"the scores of {product}: {error}")
    return Side(version.snapshot, version.number, record, scores, missing)


def _scores(version: "Opened", product: str) -> dict[str, float]:
    """Return a product's gain out of fold and what its detectors score on the test split, as MLflow names them."""
    from pipeline_tasks.storage import read_json

    choice = read_json(version.path_of(version.lock.output(f"choose@{product}")))
    evaluation = read_json(version.path_of(version.lock.output(f"evaluate@{product}", "*.json")))
    found = {"choice/lift_gain": (choice.get("lift") or {}).get("gain")}
    for detector, results in evaluation.get("detectors", {}).items():
        arms = {arm: results["arms"][arm] for arm in ARMS if arm in results["arms"]}
        given = {(arm, name): scores[name] for arm, scores in arms.items() for name in SCORES if scores.get(name)}
        found |= {f"{detector}/{arm}/{name}_mean": score["mean"] for (arm, name), score in given.items()}
    return {f"{product}/{name}": float(value) for name, value in found.items() if value is not None}
