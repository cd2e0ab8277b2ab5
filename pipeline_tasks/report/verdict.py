"""The first thing that a report says of a product: what the gate made of it, how to train, and what that is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline_tasks.report.choice import Recommendation, recommendations
from pipeline_tasks.report.contents import ProductContents, Standing
from pipeline_tasks.report.words import arm_words, joined, signed, span
from pipeline_tasks.schema import GOOD

CAUTION = (
    "A gate on so few images is conservative, not a guarantee: it refuses gains that it cannot prove, and a gain that "
    "it accepts may turn out smaller on new parts. The mixture is picked and its gain measured on the same left-out "
    "scores, which flatters the gain somewhat, and two or three repeats understate how far runs lie apart."
)


@dataclass(frozen=True)
class Lift:
    """What training as recommended gains out of fold over the arm `against`, in words."""

    gain: str
    against: str
    interval: str
    probability: str
    repeats: str


@dataclass(frozen=True)
class Verdict:
    """What it is at present, what the gate made of it, and the rest in sentences, empty if unsaid.

    standing: champion, challenger or superseded, empty where the gate has not ruled. promotion: who made the present
    champion that by hand. reason: why the gate ruled so, and how, where that is not what it is at present.

    outcome: of the detectors on the real test split, better, worse, undecided or not_applicable.
    """

    standing: str
    version: str
    promotion: str
    reason: str
    recommendations: Sequence[Recommendation]
    unchosen: str
    lift: Lift | None
    without_lift: str
    outcome: str
    test: str
    caution: str


def verdict_section(contents: ProductContents, standings: Sequence[Standing]) -> Verdict:
    """Return the verdict on a product; its standing is the one among `standings` that is its own."""
    own = next((standing for standing in standings if standing.product == contents.product), None)
    tested = contents.evaluation.get("verdict", {})
    return Verdict(
        standing=own.present if own else "",
        version=_version(own) if own else "",
        promotion=_promotion(own) if own else "",
        reason=_ruling(own) if own else "",
        recommendations=recommendations(contents.choice),
        unchosen=contents.choice.get("reason", ""),
        lift=lift_of(contents.choice),
        without_lift=without_lift(contents.choice),
        outcome=tested.get("outcome", ""),
        test=tested.get("sentence", ""),
        caution=caution_on(contents.choice),
    )


def _version(standing: Standing) -> str:
    name = f"Version {standing.number} of {standing.model}"
    if standing.present == "champion":
        return f"{name} is the one to train with."
    if standing.champion is None:
        return f"{name} is kept beside; no version is champion yet."
    return f"{name} is kept beside; version {standing.champion} is the champion."


def _promotion(standing: Standing) -> str:
    act = standing.promotion
    if act is None:
        return ""
    when = f"{datetime.fromisoformat(act.at):%d %B %Y, %H:%M} UTC"
    return f"Version {standing.champion} was made the champion by hand, by {act.by} on {when}: {act.reason}"


def _ruling(standing: Standing) -> str:
    if standing.present == standing.standing:
        return standing.reason
    return f"When it was registered, the gate made it a {standing.standing}: {standing.reason}"


def lift_of(choice: Mapping[str, Any]) -> Lift | None:
    """Return what training as a choice says gains out of fold; None where that was not measured."""
    lift = choice.get("lift")
    if not lift:
        return None
    return Lift(
        gain=signed(lift["gain"]),
        against=arm_words(lift["best_real"]),
        interval=f"{choice['confidence']:.0%} interval {span(lift['low'], lift['high'])}",
        probability=f"{lift['probability']:.0%}",
        repeats=", ".join(map(signed, lift["gains"])),
    )


def without_lift(choice: Mapping[str, Any]) -> str:
    """Return why there is no lift, where nothing else says so."""
    defects = choice.get("defects", {})
    if choice.get("lift") or choice.get("reason") or not defects:
        return ""
    if all(found["backend"] is None for found in defects.values()):
        return "This recommends real images alone, so no gain is claimed."
    return "No gain could be measured out of fold."


def caution_on(choice: Mapping[str, Any]) -> str:
    """Return what the figures out of fold rest on; "" where there are none."""
    base: Mapping[str, int] = choice.get("base", {})
    defects = [f"{number} {defect}" for defect, number in base.items() if defect != GOOD]
    if not defects or not choice.get("arms"):
        return ""
    images = joined([*defects, *([f"{base[GOOD]} normal"] if base.get(GOOD) else [])])
    repeats = choice["repeats"]
    rounds = f"{choice['folds']} folds, {'once' if repeats == 1 else f'repeated {repeats} times'}"
    return f"Figures out of fold rest on the images of the base set alone ({images}), in {rounds}. {CAUTION}"
