"""A trained TDIA and mask head on their base, and their files: in diffusers' format, the noise schedule, a card."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.generator_files import AGAIN, CARD, read_card, read_network
from pipeline_tasks.dit.mask_head import MaskHead
from pipeline_tasks.dit.tdia import TDIA
from pipeline_tasks.errors import ModelError
from pipeline_tasks.storage import content_digest, write_json

if TYPE_CHECKING:
    from diffusers import DDIMScheduler

TRANSFORMER, MASK_HEAD, SCHEDULER = "tdia", "mask_head", "scheduler"
OWN = ("resolution_px", "view", "one_prompt")
"""What the card says beside the backend's name and the base model's digest."""


@dataclass(frozen=True)
class Generator:
    """A TDIA and a mask head in the latent space of `base`; its text encoder is used too, its UNet is not.

    scheduler: the noise schedule of the training, the base's or a pretrained DiT's. resolution_px, view, one_prompt:
    as in params.yaml at the training. losses: of every step, empty after loading. digest: SHA-256 (hex) of the files,
    empty before they are loaded.
    """

    base: BaseModel
    tdia: TDIA
    mask_head: MaskHead
    scheduler: "DDIMScheduler"
    resolution_px: int
    view: str
    one_prompt: bool
    losses: Sequence[float] = ()
    digest: str = ""

    def save(self, folder: Path) -> None:
        """Write the card and diffusers' files, safetensors only."""
        self.tdia.save_pretrained(folder / TRANSFORMER, safe_serialization=True)
        self.mask_head.save_pretrained(folder / MASK_HEAD, safe_serialization=True)
        self.scheduler.save_pretrained(folder / SCHEDULER)
        own = {key: getattr(self, key) for key in OWN}
        write_json(folder / CARD, {"backend": "dit", "base": self.base.digest, **own})

    @classmethod
    def load(cls, folder: Path, base: BaseModel) -> "Generator":
        """Read what `save` wrote.

        Raises ModelError if a file is missing or damaged, or the generator was trained on another base.
        """
        own = read_card(folder, "DiT", base, OWN)
        tdia = read_network(TDIA, folder / TRANSFORMER, "TDIA")
        mask_head = read_network(MaskHead, folder / MASK_HEAD, "MaskHead")
        scheduler = _read_scheduler(folder / SCHEDULER)
        digest = content_digest(*(folder / name for name in (CARD, TRANSFORMER, MASK_HEAD, SCHEDULER)))
        return cls(base, tdia, mask_head, scheduler, **own, digest=digest)


def _read_scheduler(folder: Path) -> "DDIMScheduler":
    from diffusers import DDIMScheduler

    try:
        return DDIMScheduler.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # diffusers raises several kinds on missing and damaged files
        raise ModelError(f"{folder}: the noise schedule cannot be loaded ({error}); {AGAIN}") from error
