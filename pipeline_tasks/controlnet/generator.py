"""A trained ControlNet on its base, and its files: ControlNet and adapters in diffusers' format, a card."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_tasks.controlnet.lora import load_lora, save_lora
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.generator_files import AGAIN, CARD, read_card, read_network
from pipeline_tasks.errors import ModelError
from pipeline_tasks.storage import content_digest, write_json

if TYPE_CHECKING:
    from diffusers import ControlNetModel

CONTROL, LORA = "controlnet", "lora"
OWN = ("resolution_px", "view", "noise_schedule", "lora_rank")
"""What the card says beside the backend's name and the base model's digest."""


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
        from diffusers import ControlNetModel

        own = read_card(folder, "ControlNet", base, OWN)
        control = read_network(ControlNetModel, folder / CONTROL, "ControlNet")
        parts = [folder / CARD, folder / CONTROL]
        if own["lora_rank"]:
            _read_lora(folder / LORA, base)
            parts.append(folder / LORA)
        base = with_noise_schedule(base, own["noise_schedule"])
        return cls(base, control, **own, digest=content_digest(*parts))


def with_noise_schedule(base: BaseModel, kind: str) -> BaseModel:
    """Return `base` with the noise schedule 'checkpoint', its own, or 'cosine' (DefectSynth; Nichol & Dhariwal)."""
    if kind == "checkpoint":
        return base
    cosine = {"beta_schedule": "squaredcos_cap_v2", "trained_betas": None}
    return replace(base, scheduler=type(base.scheduler).from_config(base.scheduler.config, **cosine))


def _read_lora(folder: Path, base: BaseModel) -> None:
    try:
        load_lora(base.unet, folder)
    except Exception as error:  # peft and safetensors raise many kinds on damaged files
        raise ModelError(f"{folder}: the adapters cannot be loaded ({error}); {AGAIN}") from error
