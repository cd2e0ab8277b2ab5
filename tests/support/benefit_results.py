"""What the stages choose and evaluate write for a plate with two defects, small and sound as it stands."""

from collections.abc import Sequence
from typing import Any

from choices import OUTCOMES, lift
from choices import choice as chosen_for_plate

from pipeline_tasks.report.contents import CurvePoint


def score(mean: float, std: float | None = 0.01) -> dict[str, Any]:
    """Return a score over two seeds or repeats."""
    return {"mean": mean, "std": std, "values": [mean - 0.01, mean + 0.01]}


def chosen(outcome: str = "synthesis", **values: Any) -> dict[str, Any]:
    """Return the choice for one defect, with what the best pairs gain."""
    gains = {"gain": 0.031, "low": 0.004, "high": 0.06, "probability": 0.97, "best_real": "real_flip"}
    return {"outcome": outcome, **OUTCOMES[outcome], **gains, "reason": f"The reason for {outcome}.", **values}


def choice(**values: Any) -> dict[str, Any]:
    """Return data/choice/PRODUCT.json: pairs for pits, none for scratches, and every arm out of fold."""
    by_defect = {"pit": score(0.8), "scratch": score(0.6)}
    arms = {arm: {"pixel_ap": score(0.7), "per_defect": by_defect} for arm in ("real_flip", "inpainting_50")}
    defects = {"pit": chosen(), "scratch": chosen("no synthesis")}
    return chosen_for_plate(lift(0.03), arms=arms, defects=defects, base={"good": 40, "pit": 7, "scratch": 5}) | values


def arm(mean: float = 0.5, difference: float | None = None, **values: Any) -> dict[str, Any]:
    """Return what one arm scores; `difference` to the incumbent, None for that arm itself."""
    against = None if difference is None else _against(difference)
    by_defect = {defect: {"pixel_ap": score(mean)} for defect in ("pit", "scratch")}
    scores = {"pixel_ap": score(mean), "pixel_auroc": score(0.9), "pixel_f1": score(0.4), "image_auroc": None}
    return {"synthetic_images": 200, **scores, "per_defect": by_defect, "against": against, **values}


def _against(difference: float) -> dict[str, float]:
    spread = {"low": difference - 0.02, "high": difference + 0.02}
    return {"difference": difference, **spread, "probability": 0.97 if difference > 0 else 0.1}


def arms() -> dict[str, Any]:
    """Return the scores of the incumbent, the chosen mixture and an arm each of the other kinds."""
    others = {"chosen": 0.05, "real": -0.04, "paste_50": 0.01, "paste_100": -0.1, "inpainting_50": 0.03}
    made = {name: arm(0.5 + difference, difference) for name, difference in others.items()}
    return {"real_flip": arm(synthetic_images=0), **made}


def evaluation(**values: Any) -> dict[str, Any]:
    """Return data/evaluation/PRODUCT.json with one detector."""
    reasons = {"image_auroc": "there are no normal test images"}
    detector = {"about": {"network": "BasicUNet", "loss": "focal"}, "reasons": reasons, "arms": arms()}
    return {
        "product": "plate",
        "budget": "equal-steps",
        "generator": "inpainting",
        "base_images": {"pit": 7},
        "test_images": {"pit": 2, "good": 1},
        "left_out": [],
        "seeds": [0, 1],
        "detectors": {"unet": detector},
        "headline": {"score": "pixel_ap", "detector": "unet"},
        "verdict": {"outcome": "undecided", "sentence": "No clear difference."},
        "generation": {},
        "embedding": None,
        "images": {"chosen": [scored_image("test/pit/000.png", 0.2), scored_image("test/good/000.png", None, "good")]},
        **values,
    }


def scored_image(path: str, pixel_ap: float | None, defect: str = "pit", image_score: float = 0.5) -> dict[str, Any]:
    """Return what a detector makes of one test image."""
    return {"source_path": path, "defect": defect, "pixel_ap": pixel_ap, "image_score": image_score}


def curve_points(arms: Sequence[str], steps: int = 11) -> list[CurvePoint]:
    """Return a curve of falling precision for each arm."""
    return [CurvePoint(arm, i / (steps - 1), 1 - 0.8 * i / (steps - 1)) for arm in arms for i in range(steps)]
