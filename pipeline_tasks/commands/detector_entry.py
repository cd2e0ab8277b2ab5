"""The end of `defectline retrain`: its detectors enter MLflow, each once, and a page says what became of them."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline_tasks.commands.lessons import Judged, Lessons, Result
    from pipeline_tasks.images.codec import Pixels
    from pipeline_tasks.report.detector_page import RegisteredDetector
    from pipeline_tasks.report.model_card import CardDetector
    from pipeline_tasks.stages.retrain import Retrained
    from pipeline_tasks.tracking.detectors import DetectorVersion, Training
    from pipeline_tasks.tracking.models import Models, ModelVersion
    from pipeline_tasks.tracking.registry import Registry
    from pipeline_tasks.tracking.run import Run

REPORTS = Path("reports/detectors")
EXAMPLE_PX = 128
"""Longest side of the example image that a registered detector carries."""
RUN_TAG = "defectline.retraining"
"""What the run of a retraining is found by: the product and, by content, what its detectors learned from."""


@dataclass(frozen=True)
class Entered:
    """A registered detector, as the page shows it, and its card."""

    version: "ModelVersion"
    shown: "RegisteredDetector"
    card: "CardDetector"


def enter_all(registry: "Registry", lessons: "Lessons", results: "Sequence[Result]", uri: str) -> None:
    """Register what was trained, give it its alias, and write and log the page; what was done before stays."""
    from pipeline_tasks.commands.page_head import head_of, revision_tags
    from pipeline_tasks.report.detector_page import render

    product = lessons.ground.product
    run = registry.begin(_name(product, results), revision_tags(), RUN_TAG)
    entered = [_entered(registry, run, lessons, result) for result in results]
    detectors = [each.shown for each in entered]
    page = render(product, head_of(lessons.origin.version, run, uri, _release(lessons)), lessons.note, detectors)
    _write(REPORTS, product, page, _result(lessons, run, detectors))
    if not run.finished:
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), product, page, _result(lessons, run, detectors))
            _write_cards(Path(folder), entered)
            _complete(registry, run, lessons, entered, Path(folder))
    for detector in detectors:
        age = "" if detector.is_new else ", trained on just this before,"
        print(f"{detector.model}: version {detector.number}{age} is {detector.present}. {detector.reason}")
    standings = ", ".join(f"{d.record['kind']} version {d.number} {d.present}" for d in detectors)
    print(f"{product}: {standings}; see {REPORTS / product}.html")


def _release(lessons: "Lessons") -> str:
    return lessons.data.release if lessons.data else ""


def _name(product: str, results: "Sequence[Result]") -> str:
    digests = "".join(result.training.digest for result in results)
    return f"{product}-detectors-{hashlib.sha256(digests.encode()).hexdigest()[:12]}"


def _entered(registry: "Registry", run: "Run", lessons: "Lessons", result: "Result") -> Entered:
    from pipeline_tasks.report.detector_page import RegisteredDetector
    from pipeline_tasks.stages.retrain import Retrained
    from pipeline_tasks.tracking.detectors import record_of

    models, made = registry.models, result.detector
    is_new = isinstance(made, Retrained)
    detector = _register(models, run, lessons, result, made) if isinstance(made, Retrained) else _known(models, made)
    models.settle(detector.registered)
    record, champion = record_of(models, detector.registered), models.champion(detector.registered.model)
    number, standing = detector.number, detector.standing
    present = champion.number if champion else None
    shown = RegisteredDetector(record, detector.registered.model, number, standing, detector.reason, present, is_new)
    told = (detector.standing, detector.reason, detector.dataset_model)
    return Entered(detector.registered, shown, _card(lessons, detector.training, record, *told))


def _known(models: "Models", made: "DetectorVersion | Judged") -> "DetectorVersion":
    """Return a detector that was registered before, with its new standing if it was judged anew."""
    from pipeline_tasks.commands.lessons import Judged
    from pipeline_tasks.tracking.detectors import judge_again

    if not isinstance(made, Judged):
        return made
    reason = f"Judged again, as another one is the champion by now: {made.ruling.reason}"
    return judge_again(models, made.detector, made.ruling.standing, reason, made.compared_with)


def _register(
    models: "Models", run: "Run", lessons: "Lessons", result: "Result", made: "Retrained"
) -> "DetectorVersion":
    from pipeline_tasks.report.model_card import describe_detector, render_detector_card
    from pipeline_tasks.tracking.detectors import TrainedDetector, enter_detector

    data, ruling = lessons.data, made.ruling
    dataset = data.registered.uri if data else ""
    card = _card(lessons, result.training, made.record, ruling.standing, ruling.reason, dataset)
    trained = TrainedDetector(
        product=lessons.ground.product,
        kind=result.kind,
        training=result.training,
        standing=ruling.standing,
        reason=ruling.reason,
        compared_with=made.record["against"]["number"],
        record=made.record,
        dataset_model=dataset,
        generator_model=data.generator_model if data else "",
        card=render_detector_card(card),
        description=describe_detector(card),
    )
    return enter_detector(models, run, trained, made.localiser, _example(lessons))


def _card(
    lessons: "Lessons", training: "Training", record: Mapping[str, Any], standing: str, reason: str, dataset: str
) -> "CardDetector":
    from pipeline_tasks.report.model_card import CardDetector
    from pipeline_tasks.tracking.models import model_name

    return CardDetector(
        model=model_name(record["product"], record["kind"]),
        record=record,
        ruling=f"When it was registered, the gate made it a {standing}: {reason}",
        dataset=dataset,
        version=training.version,
        git_revision=training.git_revision,
        licence=lessons.licence,
    )


def _example(lessons: "Lessons") -> "Pixels":
    """Return a corner of a base image; test images are for the report alone."""
    from pipeline_tasks.images.codec import decode_image

    return decode_image(lessons.ground.base[0].image)[:EXAMPLE_PX, :EXAMPLE_PX]


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


def _write_cards(folder: Path, entered: Sequence[Entered]) -> None:
    from pipeline_tasks.report.model_card import render_detector_card

    for each in entered:
        (folder / f"{each.version.model}.md").write_text(render_detector_card(each.card), encoding="utf-8")


def _complete(registry: "Registry", run: "Run", lessons: "Lessons", entered: Sequence[Entered], folder: Path) -> None:
    """Record the run, with all that the detectors learned from as its inputs."""
    from pipeline_tasks.lineage.collect import base_samples
    from pipeline_tasks.lineage.revision import git_revision
    from pipeline_tasks.stages.detector_gate import spelled
    from pipeline_tasks.stages.retrain import metrics
    from pipeline_tasks.tracking.registry import Record

    product, records = lessons.ground.product, [each.shown.record for each in entered]
    values = {"product": product, "dataset": lessons.origin.version or "none"}
    values |= {f"{record['kind']}.mixture": spelled(record["arms"]) for record in records}
    measured = {name: value for record in records for name, value in metrics(record).items()}
    models = [each.version for each in entered]
    if lessons.data:
        generator = registry.models.by_uri(lessons.data.generator_model)
        models += [lessons.data.registered, *([generator] if generator else [])]
        registry.share_datasets(run, lessons.data.registered, lessons.drawn_on(records))
    base = base_samples(lessons.lock, product, git_revision(Path())[0])
    registry.complete(run, Record(values, measured, [base], models, folder))
