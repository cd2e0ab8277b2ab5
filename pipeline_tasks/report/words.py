"""How a person reads the names of arms, scores, detectors and mixtures, and signed figures."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

CHOSEN = "chosen"
"""The arm that trains every defect as the choice says."""
SCORES = {
    "pixel_ap": "pixel AP",
    "pixel_f1_max": "pixel F1-max",
    "pixel_f1": "pixel F1 at 0.5",
    "pro": "PRO",
    "pixel_auroc": "pixel AUROC",
    "accuracy": "accuracy",
    "f1": "F1",
    "image_auroc": "image AUROC",
    "pixel_miou": "mIoU at 0.5",
    "image_ap": "image AP",
    "image_f1_max": "image F1-max",
    "image_f1": "image F1 at 0.5",
}
"""Scores in the order in which they are read; others follow under their own names."""
DETECTORS = {"unet": "U-Net localiser", "draem": "DRAEM-style detector", "classifier": "Classifier"}
SOURCES = {"paste": "pasted", "cutpaste": "CutPaste", "perlin": "Perlin texture"}
POLICIES = {"none": "no augmentation", "flip": "flips", "classic": "classic augmentation"}
ARM = re.compile(r"(?P<source>.+?)(_(?P<percent>\d+))?(_(?P<policy>none|flip|classic))?")


def score_words(score: str) -> str:
    """Return a score's name as it is written: 'pixel AP'."""
    return SCORES.get(score, plain(score))


def in_order(scores: Iterable[str]) -> list[str]:
    """Return each of `scores` once, as SCORES orders them, others after them as they come."""
    places = {score: place for place, score in enumerate(SCORES)}
    return sorted(dict.fromkeys(scores), key=lambda score: places.get(score, len(places)))


def detector_words(detector: str, about: Mapping[str, Any] | None = None) -> str:
    """Return what kind of detector one is; a classifier may be any of several networks, which `about` names."""
    name, network = DETECTORS.get(detector, plain(detector)), (about or {}).get("network")
    return f"{name} ({network})" if detector == "classifier" and network else name


def spread_words(seeds: Iterable[int]) -> str:
    """Return what figures are over, given how many seeds each has: 'mean ± standard deviation over 3 seeds'."""
    numbers = sorted(set(seeds))
    if numbers == [1]:
        return "one seed"
    return f"mean ± standard deviation over {' or '.join(map(str, numbers))} seeds"


def arm_words(arm: str) -> str:
    """Return what an arm is trained on, in short: '50% pasted, flips'. See benefit/arms.py for the spelling."""
    if arm == CHOSEN:
        return "the chosen mixture"
    found = ARM.fullmatch(arm)
    source, percent, policy = found.group("source", "percent", "policy") if found else (arm, None, None)
    if percent is None:
        return f"real images with {POLICIES[policy or 'none']}" if source == "real" else plain(arm)
    name = SOURCES.get(source, source)
    return f"{f'{name} alone' if percent == '100' else f'{percent}% {name}'}, {POLICIES[policy or 'flip']}"


def mixture_words(choice: Mapping[str, Any]) -> str:
    """Return what the choice says to train a defect with: '50% pasted pairs and flips'."""
    policy, backend = POLICIES[choice["augmentation"]], choice["backend"]
    if backend is None:
        return f"real images with {policy}"
    pairs = f"{SOURCES.get(backend, backend)} pairs"
    share = f"{pairs} alone" if choice["ratio"] == 1 else f"{choice['ratio']:.0%} {pairs}"
    return f"{share} and {policy}"


def signed(value: float) -> str:
    """Return a difference of scores: '+0.031'."""
    return f"{round(value, 3) + 0.0:+.3f}".replace("-", "−")


def span(low: float, high: float) -> str:
    """Return an interval of differences: '+0.004 to +0.060'."""
    return f"{signed(low)} to {signed(high)}"


def joined(parts: Iterable[str]) -> str:
    """Return 'a, b and c'; nothing of no parts."""
    *most, last = [*parts] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def plain(name: str) -> str:
    """Return a name with spaces for underscores."""
    return name.replace("_", " ")
