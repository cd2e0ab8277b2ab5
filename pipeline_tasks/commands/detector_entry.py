"""The end of `defectline retrain`: its detectors enter MLflow, each once, and a page says what became of them."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline_tasks.commands.lessons import Lessons, Result
    from pipeline_tasks.images.codec import Pixels
    from pipeline_tasks.report.contents import Head
    from pipeline_tasks.report.detector_page import RegisteredDetector
    from pipeline_tasks.stages.retrain import Retrained
    from pipeline_tasks.tracking.detectors import DetectorVersion
    from pipeline_tasks.tracking.models import Models
    from pipeline_tasks.tracking.registry import Registry
    from pipeline_tasks.tracking.run import Run

REPORTS = Path("reports/detectors")
EXAMPLE_PX = 128
"""Longest side of the example image that a registered detector carries."""
RUN_TAG = "defectline.retraining"
"""What the run of a retraining is found by: the product and, by content, what its detectors learned from."""


def enter_all(registry: "Registry", lessons: "Lessons", results: "Sequence[Result]", uri: str) -> None:
    """Register what was trained, give it its alias, and write and log the page; what was done before stays."""
    from pipeline_tasks.report.detector_page import render

    product, revision = lessons.ground.product, _revision_tags()
    run = registry.begin(_name(product, results), revision, RUN_TAG)
    detectors = [_entered(registry, run, lessons, result) for result in results]
    page = render(product, _head(lessons, run, uri), lessons.note, detectors)
    _write(REPORTS, product, page, _result(lessons, run, detectors))
    if not run.finished:
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), product, page, _result(lessons, run, detectors))
            _complete(registry, run, lessons, detectors, Path(folder))
    for detector in detectors:
        age = "" if detector.is_new else ", trained on just this before,"
        print(f"{detector.model}: version {detector.number}{age} is {detector.present}. {detector.reason}")
    standings = ", ".join(f"{d.record['kind']} version {d.number} {d.present}" for d in detectors)
    print(f"{product}: {standings}; see {REPORTS / product}.html")


def _name(product: str, results: "Sequence[Result]") -> str:
    digests = "".join(result.training.digest for result in results)
    return f"{product}-detectors-{hashlib.sha256(digests.encode()).hexdigest()[:12]}"


def _revision_tags() -> dict[str, str]:
    from pipeline_tasks.lineage.revision import git_revision
    from pipeline_tasks.tracking.run import REVISION_TAG

    revision, dirty = git_revision(Path())
    return {REVISION_TAG: revision, "defectline.git_dirty": str(dirty).lower()}


def _entered(registry: "Registry", run: "Run", lessons: "Lessons", result: "Result") -> "RegisteredDetector":
    from pipeline_tasks.report.detector_page import RegisteredDetector
    from pipeline_tasks.tracking.detectors import DetectorVersion, record_of

    models, found = registry.models, result.detector
    is_new = not isinstance(found, DetectorVersion)
    detector = found if isinstance(found, DetectorVersion) else _register(models, run, lessons, result, found)
    models.settle(detector.registered)
    record, champion = record_of(models, detector), models.champion(detector.registered.model)
    number, standing = detector.number, detector.standing
    present = champion.number if champion else None
    return RegisteredDetector(record, detector.registered.model, number, standing, detector.reason, present, is_new)


def _register(
    models: "Models", run: "Run", lessons: "Lessons", result: "Result", made: "Retrained"
) -> "DetectorVersion":
    from pipeline_tasks.tracking.detectors import TrainedDetector, enter_detector

    trained = TrainedDetector(
        product=lessons.ground.product,
        kind=result.kind,
        training=result.training,
        standing=made.ruling.standing,
        reason=made.ruling.reason,
        compared_with=made.record["against"]["number"],
        gains=made.gains,
        record=made.record,
    )
    return enter_detector(models, run, trained, made.localiser, _example(lessons))


def _example(lessons: "Lessons") -> "Pixels":
    """Return a corner of a base image; test images are for the report alone."""
    from pipeline_tasks.images.codec import decode_image

    return decode_image(lessons.ground.base[0].image)[:EXAMPLE_PX, :EXAMPLE_PX]


def _head(lessons: "Lessons", run: "Run", uri: str) -> "Head":
    from pipeline_tasks.errors import without_secrets
    from pipeline_tasks.report.contents import Head
    from pipeline_tasks.tracking.run import REVISION_TAG

    page = f"{without_secrets(uri).rstrip('/')}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    return Head(
        version=lessons.origin.version,
        created=run.created,
        git_revision=run.tags.get(REVISION_TAG, ""),
        git_dirty=run.tags.get("defectline.git_dirty") == "true",
        run_id=run.run_id,
        run_url=page if uri.startswith("http") else None,
    )


def _result(lessons: "Lessons", run: "Run", detectors: "Sequence[RegisteredDetector]") -> dict[str, Any]:
    """Return the page's contents as JSON values."""
    return {
        "product": lessons.ground.product,
        "dataset": lessons.origin.version or None,
        "note": lessons.note,
        "mlflow_run": run.run_id,
        "detectors": {
            each.record["kind"]: {
                **each.record,
                "model": each.model,
                "number": each.number,
                "standing": each.standing,
                "reason": each.reason,
                "champion": each.champion,
            }
            for each in detectors
        },
    }


def _write(folder: Path, product: str, page: str, result: Mapping[str, Any]) -> None:
    from pipeline_tasks.storage import atomic_file, write_json

    write_json(folder / f"{product}.json", result)
    with atomic_file(folder / f"{product}.html") as partial:
        partial.write_text(page, encoding="utf-8")


def _complete(
    registry: "Registry", run: "Run", lessons: "Lessons", detectors: "Sequence[RegisteredDetector]", folder: Path
) -> None:
    from pipeline_tasks.stages.detector_gate import spelled
    from pipeline_tasks.stages.retrain import metrics
    from pipeline_tasks.tracking.registry import Record

    values = {"product": lessons.ground.product, "dataset": lessons.origin.version or "none"}
    values |= {f"{each.record['kind']}.mixture": spelled(each.record["arms"]) for each in detectors}
    measured = {name: value for each in detectors for name, value in metrics(each.record).items()}
    registry.complete(run, Record(values, measured, [], [], folder))
