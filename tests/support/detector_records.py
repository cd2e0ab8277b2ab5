"""What stages/retrain.py records of a detector, for tests."""

from typing import Any

from pipeline_tasks.schema import IDENTITY


def compared(*gains: float, probability: float = 0.95) -> dict[str, Any]:
    """Return scores out of fold, one more than the other by `gains`, a repeat each, give or take 0.02."""
    mean = sum(gains) / len(gains)
    theirs = {"mean": 0.5, "std": 0.0, "values": [0.5] * len(gains)}
    ours = {"mean": 0.5 + mean, "std": 0.01, "values": [0.5 + gain for gain in gains]}
    bounds = {"low": mean - 0.02, "high": mean + 0.02, "probability": probability}
    against = {"difference": mean, **bounds, "per_run": [*gains]}
    return {"ours": _by_defect(ours), "theirs": _by_defect(theirs), "against": against, "unmeasured": ""}


def _by_defect(score: dict[str, Any]) -> dict[str, Any]:
    return {"pixel_ap": score, "per_defect": {"deep_scratch": None, "pit": score}}


UNMEASURED = {"ours": None, "theirs": None, "against": None, "unmeasured": "no defect is shown by two parts"}


def record(number: str | None = None, out_of_fold: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return the record of a detector compared with the champion `number`, or with the incumbent."""
    same = {name: changes.pop(name, False) for name in ("same_mixture", "same_base")}
    arms = {"deep_scratch": "real_flip", "pit": "paste_25" if number else "real_flip"}
    scores = {"pixel_ap": 0.625, "pro": 0.75, "image_auroc": None, "pixel_auroc": 0.9}
    tested = {**scores, "per_defect": {"deep_scratch": {"pixel_ap": 0.3}, "pit": scores}}
    return {
        "product": "plate",
        "kind": "unet",
        "generator": "inpainting",
        "arms": {"deep_scratch": "real_flip", "pit": "inpainting_50"},
        "synthetic": {"pit": 100},
        "seed": 0,
        "base": {"deep_scratch": 2, "good": 40, "pit": 3},
        "test_images": {"deep_scratch": 4, "good": 30, "pit": 20},
        "folds": 5,
        "repeats": 2,
        "confidence": 0.9,
        "against": {"number": number, "version": number and "a1b2", "generator": "inpainting", "arms": arms, **same},
        "out_of_fold": out_of_fold or compared(0.04, 0.02),
        "samples": [dict.fromkeys(IDENTITY) | {"source_path": "base/pit/000.png", "sha256": "5" * 64, "split": "base"}],
        "test": {"ours": tested, "theirs": {**tested, "pixel_ap": 0.5} if number else None},
    } | changes
