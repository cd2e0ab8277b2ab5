"""The gate of a detector: champion or challenger, by scores on folds of the base set, never on the test split."""

from collections.abc import Mapping
from typing import Any

from pipeline_tasks.benefit.gate import Ruling
from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.tracking.models import CHALLENGER, CHAMPION


def rule(record: Mapping[str, Any]) -> Ruling:
    """Judge a detector by what retrain.py has recorded of it.

    The first one becomes the champion unless its mixture does worse than the incumbent. A later one takes the
    champion's place if what it is trained on has changed, and its mixture does not do worse than the champion's.
    """
    return _against_champion(record) if record["against"]["number"] else _as_first(record)


def _as_first(record: Mapping[str, Any]) -> Ruling:
    first = f"the first {record['kind']} of {record['product']}"
    if set(record["arms"].values()) == {INCUMBENT}:
        return Ruling(CHAMPION, f"It is {first}, trained on real images as any other one has to match ({INCUMBENT}).")
    if not record["out_of_fold"]["against"]:
        unknown = record["out_of_fold"]["unmeasured"]
        return Ruling(CHALLENGER, f"Whether its mixture does worse than {INCUMBENT} is not known: {unknown}.")
    if record["out_of_fold"]["against"]["difference"] < 0:
        return Ruling(CHALLENGER, f"{_measured(record)} It does worse than {INCUMBENT}, so it is no champion.")
    return Ruling(CHAMPION, f"{_measured(record)} It does not do worse than {INCUMBENT}, and it is {first}.")


def _against_champion(record: Mapping[str, Any]) -> Ruling:
    found, against = record["out_of_fold"], record["against"]
    champion = f"the champion, version {against['number']}"
    if against["same_mixture"] and against["same_base"]:
        alike = f"It is trained on the same images and pairs and in the same way as {champion}"
        return Ruling(CHALLENGER, f"{alike}: there is nothing to compare.")
    if against["same_mixture"]:
        return Ruling(
            CHAMPION,
            f"It is trained in the same way as {champion}, on a base set that has changed since: on folds of this one "
            "they are one and the same, so the newer one takes its place.",
        )
    if not found["against"]:
        return Ruling(CHALLENGER, f"Whether it does worse than {champion}, is not known: {found['unmeasured']}.")
    if found["against"]["difference"] < 0:
        return Ruling(CHALLENGER, f"{_measured(record)} It does worse than {champion}, which stays.")
    return Ruling(CHAMPION, f"{_measured(record)} It does not do worse than {champion}, and takes its place.")


def _measured(record: Mapping[str, Any]) -> str:
    """Say what both score, in a sentence."""
    found, against = record["out_of_fold"], record["against"]
    difference, (ours, theirs) = found["against"], (found[who]["pixel_ap"]["mean"] for who in ("ours", "theirs"))
    other = f"that of version {against['number']} ({spelled(against['arms'])})" if against["number"] else INCUMBENT
    runs = ", ".join(f"{gain:+.3f}" for gain in difference["per_run"])
    interval = f"{record['confidence']:.0%} interval {difference['low']:+.3f} to {difference['high']:+.3f}"
    return (
        f"On folds of the base set its mixture ({spelled(record['arms'])}) reaches a pixel AP of {ours:.3f}, {other} "
        f"{theirs:.3f}: {difference['difference']:+.3f} ({interval}; by repeat {runs})."
    )


def spelled(arms: Mapping[str, str]) -> str:
    """Return what each defect is trained with: 'pit: paste_50, scratch: real_flip', or one arm if it is the same."""
    if len(set(arms.values())) == 1:
        return next(iter(arms.values()))
    return ", ".join(f"{defect}: {arm}" for defect, arm in sorted(arms.items()))
