"""data/choice/PRODUCT.json as the stage writes it, for tests."""

from typing import Any

OUTCOMES = {
    "synthesis": {"arm": "inpainting_50", "backend": "inpainting", "ratio": 0.5, "augmentation": "flip"},
    "paste only": {"arm": "paste_25", "backend": "paste", "ratio": 0.25, "augmentation": "flip"},
    "no synthesis": {"arm": "real_flip", "backend": None, "ratio": 0.0, "augmentation": "flip"},
    "undecidable": {"arm": "real_flip", "backend": None, "ratio": 0.0, "augmentation": "flip"},
}


def lift(gain: float, spread: float = 0.01, probability: float = 0.97) -> dict[str, Any]:
    """Return a lift whose two repeats lie `spread` below and above `gain`."""
    figures = {"gain": gain, "low": gain - spread, "high": gain + spread, "probability": probability}
    by_defect = {"pit": figures, "scratch": figures}
    gains = [gain - spread, gain + spread]
    return {"arm": "chosen", "best_real": "real_flip", "gains": gains, **figures, "per_defect": by_defect}


def choice(gained: dict[str, Any] | None, outcome: str = "synthesis", **changes: Any) -> dict[str, Any]:
    """Return the choice for a plate with pits and scratches, both of one outcome, and the lift `gained`."""
    figures = {"gain": 0.02, "low": 0.01, "high": 0.03, "probability": 0.95, "best_real": "real_flip"}
    defect = {"outcome": outcome, **OUTCOMES[outcome], **figures, "reason": "It gains in both repeats."}
    return {
        "product": "plate",
        "generator": "inpainting",
        "detector": "unet",
        "incumbent": "real_flip",
        "folds": 5,
        "repeats": 2,
        "confidence": 0.9,
        "min_ap": 0.1,
        "left_out": [],
        "base": {"pit": 3, "scratch": 3, "good": 3},
        "base_digest": "b" * 64,
        "pairs_digest": "p" * 64,
        "arms": {},
        "defects": {"pit": defect, "scratch": defect},
        "lift": gained,
        "reason": "",
    } | changes
