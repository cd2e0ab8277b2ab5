"""The gate of a product's data set: champion or challenger, by its out-of-fold lift on the base set alone.

A gate that read the test split would fit the data to it, night by night (METHODS section 5, choice).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline_tasks.tracking.datasets import DatasetVersion
from pipeline_tasks.tracking.models import CHALLENGER, CHAMPION, Alias


@dataclass(frozen=True)
class Ruling:
    """The standing that a data set gets, champion or challenger, and why, in full sentences."""

    standing: Alias
    reason: str


def rule(choice: Mapping[str, Any], champion: DatasetVersion | None) -> Ruling:
    """Judge the data set of `choice` (data/choice/PRODUCT.json) against the present champion among its product's.

    It becomes the champion if its own pairs are chosen for a defect, and the lift over the best real arms is positive
    in every repeat, with at least the stated confidence, convincingly negative for no defect, and not below the
    champion's; a champion without a measured lift bars nobody.
    """
    objection = _objection(choice, champion)
    if objection:
        return Ruling(CHALLENGER, objection)
    return Ruling(CHAMPION, f"{_measured(choice)}; that is positive in every repeat. {_against(choice, champion)}")


def _objection(choice: Mapping[str, Any], champion: DatasetVersion | None) -> str | None:
    """Return the first reason why the data set cannot be the champion; None if there is none."""
    lift = choice["lift"]
    if not lift or not lift["gains"]:
        return _without_lift(choice)
    if choice["generator"] not in {found["backend"] for found in choice["defects"].values()}:
        others = ", ".join(sorted({found["backend"] for found in choice["defects"].values() if found["backend"]}))
        own = choice["generator"]
        return f"{_measured(choice)}; but that is by {others}: its own pairs, by {own}, are not chosen for any defect."
    lost = sum(not gain > 0 for gain in lift["gains"])
    if lost:
        repeats, gains = len(lift["gains"]), ", ".join(f"{gain:+.3f}" for gain in lift["gains"])
        return f"{_measured(choice)}; but {lost} of {repeats} repeats show no gain ({gains}), and every one has to."
    worse = [f"{d} ({found['gain']:+.3f})" for d, found in lift["per_defect"].items() if not found["high"] >= 0]
    if worse:
        return f"{_measured(choice)}; but it does worse on {', '.join(worse)}, beyond the interval."
    if not lift["probability"] >= choice["confidence"]:
        return f"{_measured(choice)}; the probability has to be at least {choice['confidence']:.2f}."
    if champion and champion.lift and not lift["gain"] >= champion.lift.gain:
        return f"{_measured(choice)}. {_against(choice, champion)}"
    return None


def _without_lift(choice: Mapping[str, Any]) -> str:
    product, reason = choice["product"], choice["reason"].rstrip(".")
    if reason:
        return f"No lift could be measured for {product}: {reason}."
    outcomes = "; ".join(f"{defect}: {_outcome(found)}" for defect, found in choice["defects"].items())
    return f"{product} is to be trained on real images alone, so that there is no lift to judge ({outcomes})."


def _outcome(found: Mapping[str, Any]) -> str:
    """Return what was chosen for a defect and, where pairs were measured but not chosen, how their best arm did."""
    if found["outcome"] != "no synthesis" or found["gain"] is None:
        return str(found["outcome"])
    figures = f"{found['gain']:+.3f} pixel AP (probability of a gain {found['probability']:.2f})"
    return f"no synthesis, as pairs differ from {found['best_real']} by {figures}"


def _measured(choice: Mapping[str, Any]) -> str:
    lift = choice["lift"]
    interval = f"{choice['confidence']:.0%} interval {lift['low']:+.3f} to {lift['high']:+.3f}"
    figures = f"{lift['gain']:+.3f} pixel AP ({interval}, probability of a gain {lift['probability']:.2f})"
    return f"Out of fold, {choice['product']} trained as chosen differs from {lift['best_real']} by {figures}"


def _against(choice: Mapping[str, Any], champion: DatasetVersion | None) -> str:
    """Return how the lift compares with the champion's."""
    if not champion:
        return "There is no champion yet."
    name = f"the present champion, version {champion.number} ({champion.version})"
    if not champion.lift:
        return f"No lift was measured for {name}, so there is nothing to compare with."
    difference = choice["lift"]["gain"] - champion.lift.gain
    standing = f"{abs(difference):.2g} {'above' if difference > 0 else 'below'}" if difference else "equal to"
    base = "" if choice["base_digest"] == champion.base_digest else ", which was measured on another base set"
    return f"It is {standing} the {champion.lift.gain:+.3f} of {name}{base}."
