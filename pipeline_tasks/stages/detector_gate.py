"""The gate of a detector: champion or challenger, by scores on folds of the base set, never on the test split."""

from collections.abc import Mapping
from typing import Any

from pipeline_tasks.benefit.gate import Ruling
from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.tracking.models import CHALLENGER, CHAMPION


def rule(record: Mapping[str, Any]) -> Ruling:
    """Judge a detector by what retrain.py has recorded of it.

    On the champion's base set, what it is trained on takes the champion's place only if it is shown to be better: it
    gains in every repeat of the folds, of two or more, with at least the stated confidence. Where the base set has
    changed since the champion learned, the champion could not learn from the new images, so the newer one takes its
    place unless it is convincingly worse: the whole interval of the difference lies below 0, on folds of the present
    base set. The first one likewise becomes the champion unless its mixture is convincingly worse than the incumbent.
    """
    if not record["against"]["number"]:
        return _as_first(record)
    return _on_one_base(record) if record["against"]["same_base"] else _on_another_base(record)


def _as_first(record: Mapping[str, Any]) -> Ruling:
    first, found = f"the first {record['kind']} of {record['product']}", record["out_of_fold"]
    if set(record["arms"].values()) == {INCUMBENT}:
        return Ruling(CHAMPION, f"It is {first}, trained on real images as any other one has to match ({INCUMBENT}).")
    if not found["against"]:
        return Ruling(CHALLENGER, f"Whether its mixture is worse than {INCUMBENT} is not known: {found['unmeasured']}.")
    if found["against"]["high"] < 0:
        return Ruling(CHALLENGER, f"{_measured(record)} It is convincingly worse than {INCUMBENT}, so no champion.")
    return Ruling(CHAMPION, f"{_measured(record)} It is not convincingly worse than {INCUMBENT}, and it is {first}.")


def _on_one_base(record: Mapping[str, Any]) -> Ruling:
    champion, found = _champion(record), record["out_of_fold"]
    if record["against"]["same_mixture"]:
        alike = f"It is trained on the same images and pairs and in the same way as {champion}"
        return Ruling(CHALLENGER, f"{alike}: there is nothing to compare.")
    if not found["against"]:
        return Ruling(CHALLENGER, f"Whether it is better than {champion}, is not known: {found['unmeasured']}.")
    if doubt := _doubt(record):
        return Ruling(CHALLENGER, f"{_measured(record)} {doubt}, so {champion}, stays.")
    return Ruling(
        CHAMPION, f"{_measured(record)} That is a gain in every repeat, and it takes the place of {champion}."
    )


def _on_another_base(record: Mapping[str, Any]) -> Ruling:
    champion, found = _champion(record), record["out_of_fold"]
    if record["against"]["same_mixture"]:
        return Ruling(
            CHAMPION,
            f"It is trained in the same way as {champion}, on a base set that has changed since: on folds of this one "
            "they are one and the same, so the newer one takes its place.",
        )
    if not found["against"]:
        return Ruling(CHALLENGER, f"Whether it is worse than {champion}, is not known: {found['unmeasured']}.")
    if found["against"]["high"] < 0:
        return Ruling(CHALLENGER, f"{_measured(record)} It is convincingly worse than {champion}, which stays.")
    since = f"The base set has changed since {champion}, learned from it"
    return Ruling(
        CHAMPION, f"{_measured(record)} {since}; the newer one is not convincingly worse and takes its place."
    )


def _champion(record: Mapping[str, Any]) -> str:
    return f"the champion, version {record['against']['number']}"


def _doubt(record: Mapping[str, Any]) -> str:
    """Return the first reason why a gain is not shown; nothing if it is."""
    against = record["out_of_fold"]["against"]
    gains, lost = against["per_run"], sum(not gain > 0 for gain in against["per_run"])
    if len(gains) < 2:
        return "One repeat of the folds shows no spread, and two are needed"
    if lost:
        return f"There is no gain in {lost} of {len(gains)} repeats"
    if not against["probability"] >= record["confidence"]:
        return f"The probability of a gain has to be at least {record['confidence']:.2f}"
    return ""


def _measured(record: Mapping[str, Any]) -> str:
    """Say what both score, in a sentence."""
    found, against = record["out_of_fold"], record["against"]
    difference, (ours, theirs) = found["against"], (found[who]["pixel_ap"]["mean"] for who in ("ours", "theirs"))
    other = f"that of version {against['number']} ({spelled(against['arms'])})" if against["number"] else INCUMBENT
    runs = ", ".join(f"{gain:+.3f}" for gain in difference["per_run"])
    interval = f"{record['confidence']:.0%} interval {difference['low']:+.3f} to {difference['high']:+.3f}"
    return (
        f"On folds of the base set its mixture ({spelled(record['arms'])}) reaches a pixel AP of {ours:.3f}, {other} "
        f"{theirs:.3f}: {difference['difference']:+.3f} ({interval}; probability of a gain "
        f"{difference['probability']:.2f}; by repeat {runs})."
    )


def spelled(arms: Mapping[str, str]) -> str:
    """Return what each defect is trained with: 'pit: paste_50, scratch: real_flip', or one arm if it is the same."""
    if len(set(arms.values())) == 1:
        return next(iter(arms.values()))
    return ", ".join(f"{defect}: {arm}" for defect, arm in sorted(arms.items()))
