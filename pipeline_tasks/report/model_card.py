"""The cards of what is trained, generators and detectors, in Markdown as Hugging Face has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.report.dataset_card import NONE, CardOrigin, CardProduct
from pipeline_tasks.report.likeness import Measures, generation_measures
from pipeline_tasks.report.markdown import fill_card, licence_fields, licence_words
from pipeline_tasks.report.words import arm_words, detector_words, in_order, joined, plain, score_words, signed, span
from pipeline_tasks.schema import GOOD


@dataclass(frozen=True)
class CardGenerator:
    """A trained generator: its registered model, DVC's MD5 of its files, where DVC keeps them, its training losses."""

    model: str
    digest: str
    path: str
    losses: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class CardDetector:
    """A trained detector: its registered model, what was measured of it (stages/retrain.py), and the gate's ruling.

    dataset, version, git_revision: the registered data set that it was trained as, that one's version and commit; ""
    where no data set was the champion. licence: of the real samples.
    """

    model: str
    record: Mapping[str, Any]
    ruling: str
    dataset: str
    version: str
    git_revision: str
    licence: str


def render_generator_card(origin: CardOrigin, generator: CardGenerator, products: Sequence[CardProduct]) -> str:
    """Return the card of a generator, which makes the pairs of `products`. The same values give the same card."""
    licences = {each.product: each.licence for each in products}
    about = {head: words for each in products for head, words in each.generator.items()}
    front = {**licence_fields(licences.values()), "pipeline_tag": "image-to-image", "tags": ["synthetic", "defect"]}
    return fill_card(
        "generator_card.md",
        front,
        origin=origin,
        generator=generator,
        backend=joined(dict.fromkeys(each.choice.get("generator") or "unknown" for each in products)),
        about=about,
        learned=[(each.product, _counted(each.gate["counts"]["base"])) for each in products],
        training=_training(generator.losses),
        made=[_made(each, defect.defect, defect.counts.pairs) for each in products for defect in each.defects],
        measures=[(each.product, found) for each in products if (found := _measures(each))],
        licences=licence_words(licences),
    )


def _measures(product: CardProduct) -> Measures | None:
    return generation_measures(product.evaluation.get("generation"))


def _training(losses: Mapping[str, Sequence[float]]) -> str:
    """Return where each loss ended, in words."""
    steps = losses.get("step") or []
    ends = [f"{plain(name)} {values[-1]:.3g}" for name, values in losses.items() if name != "step" and values]
    if not steps or not ends:
        return "no training is on record, as of a generator that learns nothing"
    return f"{joined(ends)} at step {int(steps[-1]):,}"


def _made(product: CardProduct, defect: str, pairs: int) -> list[str]:
    """Return what became of a defect's pairs: product, defect, kept, of them made again, given up."""
    counts = product.gate["counts"]
    given_up = sum(counts["rejected"].get(defect, {}).values())
    return [product.product, defect, f"{pairs:,}", f"{counts['made_again'].get(defect, 0):,}", f"{given_up:,}"]


def render_detector_card(detector: CardDetector) -> str:
    """Return the card of a detector. The same values give the same card."""
    record = detector.record
    front = {
        **licence_fields([detector.licence]),
        "pipeline_tag": "image-segmentation",
        "tags": ["defect-detection", "anomaly-detection", "visual-inspection"],
    }
    return fill_card(
        "detector_card.md",
        front,
        detector=detector,
        record=record,
        kind=detector_words(record["kind"]),
        learned=_counted(record["base"]),
        mixture=[_mixture(record, defect, arm) for defect, arm in record["arms"].items()],
        out_of_fold=_out_of_fold(record),
        scores=_scores(record["test"]),
        tested=_counted(record["test_images"]),
        licences=licence_words({record["product"]: detector.licence}),
        limits=_limits(record),
    )


def describe_detector(detector: CardDetector) -> str:
    """Return what a detector is, in a few sentences."""
    kind, product = detector_words(detector.record["kind"]), detector.record["product"]
    data = f"data set version {detector.version}" if detector.version else "real images alone"
    return f"{kind} for {product}, trained on {data}. {detector.ruling}"


def _mixture(record: Mapping[str, Any], defect: str, arm: str) -> list[str]:
    return [plain(defect), str(record["base"].get(defect, 0)), str(record["synthetic"].get(defect, 0)), arm_words(arm)]


def _out_of_fold(record: Mapping[str, Any]) -> str:
    found, number = record["out_of_fold"], record["against"]["number"]
    if not found["against"]:
        return f"Not measured: {found['unmeasured']}."
    rival = f"version {number}, the champion then" if number else arm_words(INCUMBENT)
    gain, mean = found["against"], found["ours"]["pixel_ap"]["mean"]
    return (
        f"Pixel AP {mean:.3f} on left-out base images ({record['folds']} folds, repeats: {record['repeats']}), "
        f"{signed(gain['difference'])} against {rival} ({record['confidence']:.0%} interval "
        f"{span(gain['low'], gain['high'])}; probability of a gain: {gain['probability']:.0%})."
    )


def _scores(test: Mapping[str, Any]) -> list[list[str]]:
    """Return each score on the test split, of all defects and by defect; nothing where none could be measured."""
    tested = {"all defects": test["ours"], **test["ours"]["per_defect"]}
    names = in_order(name for scores in tested.values() for name in scores if name != "per_defect")
    heads = ["on images of", *(score_words(name) for name in names)]
    rows = [[plain(who), *(_figure(scores.get(name)) for name in names)] for who, scores in tested.items()]
    return [heads, *rows] if names and any(set(row[1:]) != {NONE} for row in rows) else []


def _figure(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _limits(record: Mapping[str, Any]) -> list[str]:
    """Return what a reader should not expect of a detector, a sentence each."""
    few = min((n for defect, n in record["base"].items() if defect != GOOD), default=0)
    found = [f"It has learned from {_counted(record['base'])} real images of {record['product']}, no other product's."]
    found.append(f"The rarest defect was seen {few} {'time' if few == 1 else 'times'}; looks beyond that are guesses.")
    if not record["out_of_fold"]["against"]:
        found.append(f"No gain was measured out of fold: {record['out_of_fold']['unmeasured']}.")
    if not sum(record["test_images"].values()):
        found.append("There were no test images, so nothing is known of it on images that took no part.")
    elif not record["test_images"].get(GOOD):
        found.append("There were no normal test images, so its false alarms on good parts are not known.")
    return found


def _counted(counts: Mapping[str, int]) -> str:
    """Return '3 pit and 40 normal', or 'no'."""
    return joined(f"{n} {'normal' if what == GOOD else plain(what)}" for what, n in counts.items() if n) or "no"
