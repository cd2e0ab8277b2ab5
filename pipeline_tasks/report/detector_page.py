"""The page of a product's retrained detectors: one file that needs no other, for the people who run the inspection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.report.contents import Head
from pipeline_tasks.report.tables import Cell, Table
from pipeline_tasks.report.templates import fill
from pipeline_tasks.report.words import arm_words, detector_words, in_order, joined, plain, score_words, signed, span
from pipeline_tasks.schema import GOOD

OURS, MISSING = "this detector", "–"


@dataclass(frozen=True)
class RegisteredDetector:
    """A detector: what was measured of it (stages/retrain.py), and version `number` of the registered model `model`.

    standing, reason: what the gate made of it. champion: the number of the version that is the champion now, if any.
    is_new: whether it was trained just now.
    """

    record: Mapping[str, Any]
    model: str
    number: str
    standing: str
    reason: str
    champion: str | None
    is_new: bool

    @property
    def present(self) -> str:
        """What it is now, after what people and later versions have done."""
        return "champion" if self.champion == self.number else "challenger"


@dataclass(frozen=True)
class _Section:
    """A detector in words; address: where MLflow loads it from."""

    name: str
    address: str
    standing: str
    version: str
    reason: str
    cross_validated: str
    folds: Sequence[Table]
    unmeasured: str
    test: Table
    test_images: str
    tested: bool
    by_defect: Sequence[Table]
    material: Table
    training: str


def render(product: str, head: Head, note: str, detectors: Sequence[RegisteredDetector]) -> str:
    """Return the page as HTML. The same contents give the same page.

    head: `version` is the data set's, "" where none is the champion, which `note` says then.
    """
    return fill("detector.html", product=product, head=head, note=note, detectors=[_section(d) for d in detectors])


def _section(detector: RegisteredDetector) -> _Section:
    record = detector.record
    found, rival = record["out_of_fold"], _rival(record["against"])
    return _Section(
        name=detector_words(record["kind"]),
        address=f"models:/{detector.model}{'@champion' if detector.present == 'champion' else f'/{detector.number}'}",
        standing=detector.present,
        version=_version(detector),
        reason=detector.reason if detector.present == detector.standing else _overruled(detector),
        cross_validated=_cross_validated(record, rival),
        folds=[_repeats(found, rival), *_fold_defects(found, rival)] if found["against"] else [],
        unmeasured=found["unmeasured"],
        test=_scores("", {OURS: record["test"]["ours"], rival: record["test"]["theirs"]}),
        test_images=_counted(record["test_images"], "test image"),
        tested=bool(record["test_images"]),
        by_defect=_test_defects(record["test"], rival),
        material=_material(record),
        training=_training(record),
    )


def _version(detector: RegisteredDetector) -> str:
    name = f"Version {detector.number} of {detector.model}"
    age = "" if detector.is_new else " It was trained before on just the same, so nothing new was registered."
    if detector.present == "champion":
        return f"{name} is the one to use.{age}"
    if detector.champion is None:
        return f"{name} is kept beside; no version is champion yet.{age}"
    return f"{name} is kept beside; version {detector.champion} is the champion.{age}"


def _overruled(detector: RegisteredDetector) -> str:
    return f"A person or another version has changed what the gate made it, a {detector.standing}: {detector.reason}"


def _rival(against: Mapping[str, Any]) -> str:
    """Return what a detector was compared with, as it heads a row."""
    return f"the champion then, version {against['number']}" if against["number"] else arm_words(INCUMBENT)


def _cross_validated(record: Mapping[str, Any], rival: str) -> str:
    base, against = _counted(record["base"], "image"), record["out_of_fold"]["against"]
    if not against:
        return ""
    rounds = f"Pixel AP on left-out images of the base set ({base}), {record['folds']} folds"
    words = f"{rounds}, {_times(record['repeats'])}; only these decide."
    interval = f"{record['confidence']:.0%} interval {span(against['low'], against['high'])}"
    gain = f"{signed(against['difference'])} against {rival}"
    return f"{words} {gain} ({interval}; probability of a gain: {against['probability']:.0%})."


def _repeats(found: Mapping[str, Any], rival: str) -> Table:
    """Return the pixel AP of both for every repeat of the folds, and the differences."""
    both, gains = {OURS: found["ours"]["pixel_ap"], rival: found["theirs"]["pixel_ap"]}, found["against"]
    rows = [
        (head, [Cell(f"{value:.3f}") for value in (*score["values"], score["mean"])]) for head, score in both.items()
    ]
    rows.append(("difference", [Cell(signed(gain)) for gain in (*gains["per_run"], gains["difference"])]))
    return Table("", [*(f"repeat {i + 1}" for i in range(len(gains["per_run"]))), "mean"], rows)


def _fold_defects(found: Mapping[str, Any], rival: str) -> list[Table]:
    by_defect = {head: found[who]["per_defect"] for head, who in ((OURS, "ours"), (rival, "theirs"))}
    defects = list(by_defect[OURS])
    if len(defects) < 2:
        return []
    rows = [(head, [_mean(scores[defect]) for defect in defects]) for head, scores in by_defect.items()]
    return [Table("By defect, mean of the repeats", [plain(defect) for defect in defects], rows)]


def _mean(score: Mapping[str, Any] | None) -> Cell:
    return Cell(f"{score['mean']:.3f}" if score else MISSING)


def _scores(title: str, rows: Mapping[str, Mapping[str, float | None] | None]) -> Table:
    """Return detectors by scores of the test split; the row of one that was not scored is left out."""
    given = {head: {k: v for k, v in row.items() if k != "per_defect"} for head, row in rows.items() if row}
    names = in_order(name for row in given.values() for name in row)
    cells = [(head, [_figure(row.get(name)) for name in names]) for head, row in given.items()]
    return Table(title, [score_words(name) for name in names], cells)


def _figure(value: float | None) -> Cell:
    return Cell(MISSING if value is None else f"{value:.3f}")


def _test_defects(test: Mapping[str, Any], rival: str) -> list[Table]:
    by_defect = test["ours"]["per_defect"]
    return [
        _scores(plain(defect), {OURS: scores, rival: test["theirs"] and test["theirs"]["per_defect"].get(defect)})
        for defect, scores in by_defect.items()
    ]


def _material(record: Mapping[str, Any]) -> Table:
    """Return what each defect was learned from."""
    rows = []
    for defect, arm in record["arms"].items():
        counts = [str(record["base"].get(defect, 0)), str(record["synthetic"].get(defect, 0))]
        rows.append((plain(defect), [Cell(text) for text in (*counts, arm_words(arm))]))
    return Table("", ["real images", "synthetic ones", "trained with"], rows)


def _training(record: Mapping[str, Any]) -> str:
    normals = record["base"].get(GOOD, 0)
    return f"{normals} normal images beside them; generator {record['generator']}; seed {record['seed']}."


def _times(repeats: int) -> str:
    return "once" if repeats == 1 else f"{repeats} times over"


def _counted(counts: Mapping[str, int], what: str) -> str:
    """Return '3 pit, 3 scratch and 40 normal images', or 'no images'."""
    defects = [f"{number} {plain(defect)}" for defect, number in counts.items() if defect != GOOD]
    said = joined([*defects, *([f"{counts[GOOD]} normal"] if counts.get(GOOD) else [])])
    return f"{said or 'no'} {what}{'' if sum(counts.values()) == 1 else 's'}"
