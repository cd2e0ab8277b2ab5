"""A trained ControlNet on its base, and its files: ControlNet and adapters in diffusers' format, a card."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_tasks.controlnet.lora import load_lora, save_lora
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.errors import DataError, ModelError
from pipeline_tasks.storage import content_digest, read_json, write_json

if TYPE_CHECKING:
    from diffusers import ControlNetModel

CARD, CONTROL, LORA = "generator.json", "controlnet", "lora"
OWN = ("resolution_px", "view", "noise_schedule", "lora_rank")
"""What the card says beside the backend's name and the base model's digest."""
AGAIN = "delete the folder and run `dvc repro train`, or fetch it with `dvc pull`"


@dataclass(frozen=True)
class Generator:
    """A ControlNet trained on `base`, whose UNet holds the adapters and whose noise schedule is that of the training.

    resolution_px, view, noise_schedule, lora_rank: as in params.yaml at the training. losses: of every step, empty
    after loading. digest: SHA-256 (hex) of the files, empty before they are loaded.
    """

    base: BaseModel
    control: "ControlNetModel"
    resolution_px: int
    view: str
    noise_schedule: str = "checkpoint"
    lora_rank: int = 0
    losses: Sequence[float] = ()
    digest: str = ""

    def save(self, folder: Path) -> None:
        """Write the card and diffusers' files, safetensors only."""
        self.control.save_pretrained(folder / CONTROL, safe_serialization=True)
        if self.lora_rank:
            save_lora(self.base.unet, folder / LORA)
        own = {key: getattr(self, key) for key in OWN}
        write_json(folder / CARD, {"backend": "controlnet", "base": self.base.digest, **own})

    @classmethod
    def load(cls, folder: Path, base: BaseModel) -> "Generator":
        """Read what `save` wrote. `base.unet` takes on the adapters.

        Raises ModelError if a file is missing or damaged, or the generator was trained on another base.
        """
        card = _read_card(folder / CARD)
        if card["base"] != base.digest:
            raise ModelError(
                f"{folder}: trained on the base model {card['base'][:12]}, this one is {base.digest[:12]}; re-run the "
                "train stage, or set backend.pretrained and backend.revision in params.yaml back"
            )
        own = {key: card[key] for key in OWN}
        control = _read_control(folder / CONTROL)
        parts = [folder / CARD, folder / CONTROL]
        if card["lora_rank"]:
            _read_lora(folder / LORA, base)
            parts.append(folder / LORA)
        base = with_noise_schedule(base, card["noise_schedule"])
        return cls(base, control, **own, digest=content_digest(*parts))


def with_noise_schedule(base: BaseModel, kind: str) -> BaseModel:
    """Return `base` with the noise schedule 'checkpoint', its own, or 'cosine' (DefectSynth; Nichol & Dhariwal)."""
    if kind == "checkpoint":
        return base
    cosine = {"beta_schedule": "squaredcos_cap_v2", "trained_betas": None}
    return replace(base, scheduler=type(base.scheduler).from_config(base.scheduler.config, **cosine))


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = read_json(path)
        if missing := {"base", *OWN} - card.keys():
            raise DataError(f"it lacks {sorted(missing)}")
    except (DataError, AttributeError) as error:
        raise ModelError(f"{path}: not the card of a ControlNet generator ({error}); {AGAIN}") from error
    return card


def _read_control(folder: Path) -> "ControlNetModel":
    from diffusers import ControlNetModel

    try:
        control, report = ControlNetModel.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # diffusers and safetensors raise many kinds on damaged files
        raise ModelError(f"{folder}: the ControlNet cannot be loaded ({error}); {AGAIN}") from error
    if report["missing_keys"]:
        raise ModelError(f"{folder}: the ControlNet lacks weights {report['missing_keys'][:3]}; {AGAIN}")
    return control.eval().requires_grad_(False)


def _read_lora(folder: Path, base: BaseModel) -> None:
    try:
        load_lora(base.unet, folder)
    except Exception as error:  # peft and safetensors raise many kinds on damaged files
        raise ModelError(f"{folder}: the adapters cannot be loaded ({error}); {AGAIN}") from error
