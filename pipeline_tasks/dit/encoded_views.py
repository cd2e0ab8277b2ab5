"""Training views and their masks as the frozen codec sees them: encoded once, then held in memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.random_views import random_views
from pipeline_tasks.diffusion.training_views import View
from pipeline_tasks.dit.texts import Names
from pipeline_tasks.params import Backend
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import Sample

Ints = NDArray[np.int64]
BATCH = 16
"""Views encoded together."""


@dataclass(frozen=True)
class Seen:
    """A batch of views: latents [B, C, s, s]; mask [B, 1, s, s], the share of each cell that is defect, 0..1.

    mask_latents: [B, C, s, s], of the mask as a picture; zero on normal images.
    """

    latents: Tensor
    mask: Tensor
    mask_latents: Tensor


@dataclass(frozen=True)
class EncodedViews:
    """N views, D of defects, then those of normal images: latents [N, C, s, s], names [N].

    masks [D, 1, s, s] and mask_latents [D, C, s, s] are as in `Seen`.
    """

    latents: Tensor
    masks: Tensor
    mask_latents: Tensor
    names: Sequence[Names]

    @property
    def defects(self) -> int:
        """Return the number of views of defects."""
        return len(self.masks)

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.latents)

    @cached_property
    def of_defects(self) -> Sequence[Ints]:
        """The numbers of the views of each defect of each product."""
        return _by_names(self.names[: self.defects], 0)

    @cached_property
    def of_normals(self) -> Sequence[Ints]:
        """The numbers of the normal views of each product."""
        return _by_names(self.names[self.defects :], self.defects)

    def pick(self, views: Tensor, device: torch.device) -> Seen:
        """Return the views numbered `views` [B], on `device`."""
        seen = (self._masked(values, views) for values in (self.masks, self.mask_latents))
        return Seen(self.latents[views].to(device), *(values.to(device) for values in seen))

    def _masked(self, values: Tensor, views: Tensor) -> Tensor:
        picked = torch.zeros(len(views), *values.shape[1:])
        picked[views < self.defects] = values[views[views < self.defects]]
        return picked


def _by_names(names: Sequence[Names], first: int) -> list[Ints]:
    numbers: dict[Names, list[int]] = {}
    for number, name in enumerate(names, first):
        numbers.setdefault(name, []).append(number)
    return [np.array(alike) for alike in numbers.values()]


def encode_views(
    base: BaseModel,
    defects: Sequence[Sample],
    normals: Iterable[Sample],
    prompts: PromptBook,
    backend: Backend,
    views_per_image: int,
    seed: int,
) -> EncodedViews:
    """Return `views_per_image` random views of each sample, as random_views draws them.

    Raises DataError without a defect sample, for one without a mask, or without names (prompts.kind: disentangled).
    """
    names: list[Names] = []
    noted, normal = (_noted(samples, prompts, names) for samples in (defects, normals))
    views = random_views(noted, normal, prompts, backend, views_per_image, seed)
    latents, masks, mask_latents = _encoded(base, views, views_per_image * len(defects))
    return EncodedViews(latents, masks, mask_latents, [name for name in names for _ in range(views_per_image)])


def _noted(samples: Iterable[Sample], prompts: PromptBook, names: list[Names]) -> Iterator[Sample]:
    """Yield the samples, and add the names of each to `names`: the normal images are never all in memory."""
    for sample in samples:
        names.append(Names(*prompts.names(sample.product, sample.defect)))
        yield sample


def _encoded(base: BaseModel, views: Iterator[View], defects: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the latents of all views, and the cells and latents of the masks of the first, `defects` in number."""
    latents: list[Tensor] = []
    masks: list[Tensor] = []
    mask_latents: list[Tensor] = []
    for batch in iter(lambda: list(islice(views, BATCH)), []):
        latents.append(base.encode(torch.from_numpy(np.stack([view.pixels for view in batch]))).float().cpu())
        if shown := batch[: max(defects - BATCH * len(masks), 0)]:
            mask = torch.from_numpy(np.stack([view.mask for view in shown]))[:, None].float()
            masks.append(avg_pool2d(mask, base.factor))
            mask_latents.append(base.encode((2 * mask - 1).expand(-1, 3, -1, -1)).float().cpu())
    return torch.cat(latents), torch.cat(masks), torch.cat(mask_latents)
