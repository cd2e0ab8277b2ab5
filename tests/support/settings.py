"""The project's parameters with a few changed, for tests."""

from pathlib import Path
from typing import Any

import yaml

from pipeline_tasks.detector_params import Detector
from pipeline_tasks.params import Params

PARAMS_FILE = Path(__file__).parents[2] / "params.yaml"
CPU = {"device": "cpu", "precision": "float32"}
KEEP_ALL = {
    "min_alignment": 0.0,
    "min_label_iou": 0.0,
    "min_change_inside": 0.0,
    "max_spill": 1.0,
    "max_similarity": 1.0,
}
"""`generate.keep` that refuses nothing."""
TINY_BASE = {
    "codec_steps": 2,
    "codec_batch_size": 2,
    "codec_channels": [8, 16],
    "text_width": 16,
    "text_layers": 1,
    "views_per_image": 1,
    "unet_steps": 2,
    "unet_batch_size": 2,
    "unet_channels": [8, 16],
}
"""The section `pretrain` for a base model that is trained in a moment."""


def settings(**sections: dict[str, Any]) -> Params:
    """Return params.yaml with `sections` merged in, key by key: settings(train={"steps": 2}).

    On the CPU in float32, and from scratch: tests' networks are smaller than the prior that ships.
    """
    values = yaml.safe_load(PARAMS_FILE.read_text())
    on_cpu = dict.fromkeys(("pretrain", "train", "masks", "generate"), CPU) | {"detector": {"device": "cpu"}}
    plain = _merged(on_cpu, {"train": {"init": "scratch"}})
    return Params.model_validate(_merged(_merged(values, plain), sections))


def write_settings(folder: Path, **sections: dict[str, Any]) -> Params:
    """Write `settings` as the params.yaml of `folder`, and return them."""
    params = settings(**sections)
    (folder / PARAMS_FILE.name).write_text(yaml.safe_dump(params.model_dump(by_alias=True)))
    return params


SMALL_DETECTOR = {
    "steps": 2,
    "batch_size": 4,
    "window_px": 32,
    "learning_rate": 0.01,
    "features": [8, 8, 8, 8, 8],
    "max_image_px": 64,
    "classifier": {"network": "resnet18", "steps": 2, "batch_size": 2, "resolution_px": 32},
}
"""The section `detector` for detectors that are trained in an instant."""


def small_detector(**values: Any) -> Detector:
    """Return SMALL_DETECTOR with `values` changed."""
    return settings(detector=_merged(SMALL_DETECTOR, values)).detector


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    inner = {key: _merged(values.get(key, {}), change) for key, change in changes.items() if isinstance(change, dict)}
    return values | changes | inner
