"""Training views as the frozen encoders see them: encoded once, then held in memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.controlnet.network import known_latents
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.random_views import random_views
from pipeline_tasks.diffusion.training_views import View
from pipeline_tasks.params import Backend
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import Sample

BATCH = 16
"""Views or prompts encoded together."""


@dataclass(frozen=True)
class Conditioned:
    """A batch to denoise: latents [B, C, s, s], mask [B, 1, S, S] in {0, 1}, text [B, tokens, width].

    known: what an inpainting base sees besides (network.known_latents), else None.
    """

    latents: Tensor
    mask: Tensor
    text: Tensor
    known: Tensor | None


@dataclass(frozen=True)
class EncodedViews:
    """N views, D of defects, then those of normal images; those of one image follow each other.

    latents: [N, C, s, s]; masks: bool [D, 1, S, S]; known: [N, 1 + C, s, s] or None; texts: [P + 1, tokens, width],
    that of the empty prompt first; prompts: [N], the text of each view.
    """

    latents: Tensor
    masks: Tensor
    known: Tensor | None
    texts: Tensor
    prompts: Tensor

    @property
    def defects(self) -> int:
        """Return the number of views of defects."""
        return len(self.masks)

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.latents)

    def pick(self, views: Tensor, prompts: Tensor, device: torch.device) -> Conditioned:
        """Return the views [B] with the texts called `prompts` [B], on `device`; normal ones have an empty mask."""
        mask = torch.zeros(len(views), *self.masks.shape[1:])
        mask[views < self.defects] = self.masks[views[views < self.defects]].float()
        return Conditioned(
            self.latents[views].to(device),
            mask.to(device),
            self.texts[prompts].to(device),
            None if self.known is None else self.known[views].to(device),
        )


def encode_views(
    base: BaseModel,
    defects: Sequence[Sample],
    normals: Iterable[Sample],
    prompts: PromptBook,
    backend: Backend,
    views_per_image: int,
    seed: int,
) -> EncodedViews:
    """Return `views_per_image` random views of each sample, see random_views.

    Raises DataError without defects, and for a defect without a mask.
    """
    views = random_views(defects, normals, prompts, backend, views_per_image, seed)
    return _encoded(base, views, views_per_image * len(defects))


def _encoded(base: BaseModel, views: Iterator[View], defects: int) -> EncodedViews:
    latents: list[Tensor] = []
    masks: list[Tensor] = []
    known: list[Tensor] = []
    prompts: list[str] = []
    while batch := list(islice(views, BATCH)):
        pixels = torch.from_numpy(np.stack([view.pixels for view in batch]))
        latents.append(base.encode(pixels).float().cpu())
        masks += [torch.from_numpy(view.mask.copy())[None] for view in batch[: max(defects - len(masks), 0)]]
        prompts += [view.prompt for view in batch]
        if base.inpaints:
            hole = torch.from_numpy(np.stack([view.hole for view in batch]))[:, None].float()
            known.append(known_latents(base, pixels, hole).float().cpu())
    distinct = ["", *sorted(set(prompts))]
    texts = [base.embed(distinct[start : start + BATCH]).float().cpu() for start in range(0, len(distinct), BATCH)]
    numbers = torch.tensor([distinct.index(prompt) for prompt in prompts])
    knowns = torch.cat(known) if known else None
    return EncodedViews(torch.cat(latents), torch.stack(masks), knowns, torch.cat(texts), numbers)
