"""Detectors that say where defects are, by name, and what is to be known of each beside its scores."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.budget import Kind, training_of
from pipeline_tasks.detectors.detector_files import read_card
from pipeline_tasks.detectors.draem import load_draem, train_draem
from pipeline_tasks.detectors.unet import load_unet, train_unet
from pipeline_tasks.detectors.windows import Floats, Mix, Scene
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.errors import ModelError

LocaliserKind = Literal["unet", "draem"]
LEARNS: dict[Kind, dict[str, str]] = {
    "unet": {"network": "MONAI BasicUNet", "loss": "MONAI DiceCELoss"},
    "draem": {"network": "MONAI AutoEncoder and BasicUNet", "loss": "L2, MONAI SSIMLoss and FocalLoss"},
    "classifier": {"loss": "cross-entropy"},
}


class Localiser(Protocol):
    """A trained detector. Images are to be opened with `max_image_px`, the longest side that it learned with."""

    @property
    def max_image_px(self) -> int:
        """See `open_scene`."""

    def score_map(self, scene: Scene) -> Floats:
        """Return the logit of 'defect' for every pixel of `scene`, [H, W], float32."""

    def save(self, folder: Path) -> None:
        """Write what `load_localiser` reads, a JSON card and safetensors, in the place of `folder`."""


def train_localiser(
    kind: LocaliserKind,
    real: Mapping[str, Sequence[Scene]],
    mixes: Mapping[str, Mix],
    params: Detector,
    seed: int,
    advance: Callable[[], object],
) -> Localiser:
    """Train the detector called `kind` on `real` scenes by defect and GOOD, and the mix of each defect.

    See `train_unet` and `train_draem`.
    """
    if kind == "unet":
        return train_unet(real, mixes, params, seed, advance)
    return train_draem(real, mixes, params, seed, advance)


def load_localiser(folder: Path, device: str = "auto") -> Localiser:
    """Return what `Localiser.save` wrote, on a device as params.yaml names it.

    Raises ModelError if a file is missing or damaged, or holds another kind of detector.
    """
    card = read_card(folder)
    if card["kind"] == "unet":
        return load_unet(folder, card, pick_device(device))
    if card["kind"] == "draem":
        return load_draem(folder, card, pick_device(device))
    raise ModelError(f"{folder}: holds a detector of kind '{card['kind']}', which does not say where defects are")


def describe(kind: Kind, params: Detector) -> dict[str, Any]:
    """Return what is to be known of a detector beside its scores: JSON values."""
    device = pick_device(params.device)
    own = training_of(kind, params).model_dump(exclude={"device", "budget", "classifier", "draem"})
    own.pop("epochs" if params.budget == "equal-steps" else "steps")
    sees = {} if kind == "classifier" else {"window_px": params.window_px, "max_image_px": params.max_image_px}
    about = {
        "budget": params.budget,
        "optimiser": "AdamW, cosine decay",
        "device": device.type,
        "precision": str(pick_dtype("auto", device)).removeprefix("torch."),
    }
    return LEARNS[kind] | about | sees | own
