"""Training a TDIA with its mask head on cached views of several products at once (DefectDiffu section 3).

Step k draws its views, dropped names, times and noise from a seed of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.diffusion.checkpoints import Checkpoints
from pipeline_tasks.diffusion.device import pick_dtype
from pipeline_tasks.diffusion.training_loop import descend
from pipeline_tasks.dit.dropout import drop
from pipeline_tasks.dit.encoded_views import EncodedViews, Ints
from pipeline_tasks.dit.mask_head import MaskHead
from pipeline_tasks.dit.objective import Objective, Prediction
from pipeline_tasks.dit.tdia import TDIA
from pipeline_tasks.dit.texts import Names, PartTexts, TextBook
from pipeline_tasks.params import Train
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from accelerate import Accelerator
    from diffusers import DDIMScheduler


class MaskedTDIA(torch.nn.Module):
    """A TDIA and the mask head that reads its attention, as one network to train."""

    def __init__(self, tdia: TDIA, mask_head: MaskHead) -> None:
        super().__init__()
        self.tdia, self.mask_head = tdia, mask_head

    def forward(self, noised: Tensor, times: Tensor, texts: PartTexts, mapped: slice) -> Prediction:
        """Return what is predicted of `noised` [B, C, s, s]; `mapped`: the first M rows, whose maps are wanted."""
        output = self.tdia(noised, times, texts, mapped=mapped)
        return Prediction(output.sample, output.maps, self.mask_head(output.maps))


@dataclass(frozen=True)
class Draw:
    """What a step trains on: numbers of views [B], times [B] in 0..T-1, noise [B, C, s, s].

    with_product, named: bool [B], whether the product's name is given, and the defect's own.
    """

    views: Tensor
    with_product: Tensor
    named: Tensor
    times: Tensor
    noise: Tensor

    def part(self, number: int, parts: int) -> "Draw":
        """Return the `number`th of equal parts."""
        return self._of(lambda values: values.chunk(parts)[number])

    def named_first(self) -> "Draw":
        """Return the same, the images whose defect is named before the others."""
        order = torch.argsort(self.named.int(), descending=True, stable=True)
        return self._of(lambda values: values[order])

    def _of(self, change: Callable[[Tensor], Tensor]) -> "Draw":
        return Draw(*(change(getattr(self, field.name)) for field in fields(self)))


def draw(views: EncodedViews, params: Train, times: int, seed: int) -> Draw:
    """Return the batch of the step with this seed; some names are dropped (Algorithm 1).

    Every defect of every product comes equally often, and every product's normal images do: what is learned without a
    product's name would else lean towards the product that has more images.
    """
    rng, count = np.random.default_rng(seed), params.batch_size
    normal = rng.random(count) < (params.normal_fraction if views.of_normals else 0)
    chosen = np.array([_one_of(views.of_normals if one else views.of_defects, rng) for one in normal])
    with_product, named = drop(chosen < views.defects, params.dit, rng)
    at = rng.integers(times, size=count)
    noise = rng.standard_normal((count, *views.latents.shape[1:]), np.float32)
    return Draw(*(torch.from_numpy(values) for values in (chosen, with_product, named, at, noise)))


def _one_of(groups: Sequence[Ints], rng: np.random.Generator) -> int:
    return int(rng.choice(groups[int(rng.integers(len(groups)))]))


def train(
    network: MaskedTDIA,
    scheduler: "DDIMScheduler",
    views: EncodedViews,
    book: TextBook,
    accelerator: "Accelerator",
    params: Train,
    seed: int,
    checkpoints: Checkpoints,
    progress: Callable[[range], Iterator[int]],
) -> list[float]:
    """Train `network` in place, and return the loss of every step; its averaged (EMA) weights are left in it, frozen.

    Only the main process keeps checkpoints and shows progress.
    """
    dtype = pick_dtype(params.precision, accelerator.device)
    torch.nn.Module.to(network, accelerator.device)
    if params.dit.gradient_checkpointing:
        network.tdia.enable_gradient_checkpointing()
    times = scheduler.config.num_train_timesteps
    loss = _Loss(views, book, Objective(scheduler, params.dit), accelerator.device, dtype)
    return descend(
        network,
        lambda step: draw(views, params, times, derive_seed(seed, "train", step)),
        loss,
        accelerator,
        params,
        params.dit,
        checkpoints,
        progress,
    )


@dataclass(frozen=True)
class _Loss:
    """The loss of a network on one part of a batch."""

    views: EncodedViews
    book: TextBook
    objective: Objective
    device: torch.device
    dtype: torch.dtype

    def __call__(self, network: torch.nn.Module, part: Draw) -> Tensor:
        part = part.named_first()
        # At least one image is mapped, so that the mask head has a gradient, zero, where no defect is named.
        mapped = slice(0, max(int(part.named.sum()), 1))
        seen, texts = self.views.pick(part.views, self.device), self.book.rows(self._names(part))
        noise, times, named = (values.to(self.device) for values in (part.noise, part.times, part.named))
        noised = self.objective.scheduler.add_noise(seen.latents, noise, times)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            predicted = network(noised, times, texts.to(self.device, torch.float32), mapped)
        return self.objective(predicted, seen, noise, times, named)

    def _names(self, part: Draw) -> list[Names]:
        names = [self.views.names[view] for view in part.views.tolist()]
        keeps = zip(names, part.with_product.tolist(), part.named.tolist(), strict=True)
        return [_kept(*one) for one in keeps]


def _kept(names: Names, with_product: bool, named: bool) -> Names:
    """Return what dropout leaves of the names; without its own name a defect is called good, as a normal image is."""
    left = names if with_product else names.without_product()
    return left if named else left.without_defect()
