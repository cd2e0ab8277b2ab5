"""The `inpainting` backend: flow matching in windows around the defect at native resolution (METHODS section 3a).

A defect wider than a window is sampled in overlapping windows whose velocities are averaged at every step
(MultiDiffusion, Bar-Tal et al. 2023), so no seam appears.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.backends.protocol import Floats, RealDefect, Rendered, Request, settings_digest
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.errors import ModelError
from pipeline_tasks.images.boxes import Box, crop, union
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.inpainting.flow import euler
from pipeline_tasks.inpainting.network import CODE_SIZE, condition_planes, velocity
from pipeline_tasks.inpainting.source import Grain, start
from pipeline_tasks.inpainting.training_windows import DefectImage, defect_window
from pipeline_tasks.inpainting.windows import context_level, cover, window_weight
from pipeline_tasks.params import Generate
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.storage import content_digest, read_json, write_json

if TYPE_CHECKING:
    from diffusers import UNet2DModel

CARD = "generator.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
CONFIG = "config.json"


@dataclass(frozen=True)
class Inpainting:
    """A trained network and what it was trained with: defect names, pixel scale in grey levels, window, hole, code."""

    unet: "UNet2DModel"
    defects: list[str]
    scale: float
    grain: Grain
    window_px: int
    dilation_px: int
    appearance_code: bool = True
    losses: Sequence[float] = ()

    def save(self, folder: Path) -> None:
        """Write a diffusers model folder (config.json, safetensors) and generator.json."""
        self.unet.save_pretrained(folder, safe_serialization=True)
        card = {
            "defects": self.defects,
            "scale": self.scale,
            "grain": self.grain.to_json(),
            "window_px": self.window_px,
            "dilation_px": self.dilation_px,
            "appearance_code": self.appearance_code,
        }
        write_json(folder / CARD, card)

    @classmethod
    def load(cls, folder: Path) -> "Inpainting":
        """Read what `save` wrote; safetensors only. Raises ModelError if a file is missing or damaged."""
        from diffusers import UNet2DModel

        for name in (CARD, CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: missing; run `dvc repro train` or fetch it with `dvc pull`")
        try:
            unet = UNet2DModel.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
            )
        except Exception as error:  # diffusers and safetensors raise many kinds on damaged files
            raise ModelError(
                f"{folder}: the model cannot be loaded ({error}); delete it and run `dvc repro train`"
            ) from error
        card = read_json(folder / CARD)
        return cls(unet.eval(), **card | {"grain": Grain.from_json(card["grain"])})


@dataclass(frozen=True)
class InpaintingBackend:
    """The trained generator at work: `Backend` of protocol.py."""

    model: Inpainting
    params: Generate
    digest: str
    name: str = "inpainting"

    @classmethod
    def load(cls, folder: Path, params: Generate) -> "InpaintingBackend":
        """Load the model in `folder` onto the device that `params` names."""
        model, device = Inpainting.load(folder), pick_device(params.device)
        model.unet.to(device, memory_format=torch.channels_last)
        weights = content_digest(folder / CARD, folder / CONFIG, folder / WEIGHTS)
        return cls(
            model,
            params,
            settings_digest(params, weights, params.inpainting.steps, pick_dtype(params.precision, device)),
        )

    def render(self, requests: Sequence[Request], first: Mapping[int, Rendered]) -> list[Rendered]:
        """See protocol.Backend; a pair does not depend on its block. Raises ModelError for an unknown defect."""
        regions = [_region(self.model, request, self.params.severity) for request in requests]
        with torch.inference_mode():
            states = euler(
                partial(self._velocities, regions), [region.start for region in regions], self.params.inpainting.steps
            )
        return [_painted(self.model, *job) for job in zip(requests, regions, states, strict=True)]

    def _velocities(self, regions: list["_Region"], states: list[Tensor], time: float) -> list[Tensor]:
        """Return one velocity [3, h, w] per region: the weighted mean over its windows, zero outside the hole."""
        jobs = [(index, box) for index, region in enumerate(regions) for box in region.boxes]
        device = self.model.unet.device
        dtype = pick_dtype(self.params.precision, device)
        sums, weights = [torch.zeros_like(x) for x in states], [torch.zeros_like(x[:1]) for x in states]
        for batch in _batches(jobs, self.params.batch_size):
            noised = torch.stack([_cut(states[i], box) for i, box in batch]).to(device)
            planes = self._conditions([(regions[i], box) for i, box in batch]).to(device)
            times = torch.full((len(batch),), time, device=device)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                predicted = velocity(self.model.unet, noised, planes, times).float().cpu()
            weight = torch.from_numpy(window_weight(batch[0][1].height))
            for (i, box), one in zip(batch, predicted, strict=True):
                _cut(sums[i], box).add_(one * weight)
                _cut(weights[i], box).add_(weight)
        return [
            torch.where(region.hole, total / part.clamp(min=1e-6), 0)
            for region, total, part in zip(regions, sums, weights, strict=True)
        ]

    def _conditions(self, windows: list[tuple["_Region", Box]]) -> Tensor:
        """Return the condition planes [B, C, S, S] of equally large windows; a whole region's would be too large."""
        hole = torch.stack([_cut(region.hole, box) for region, box in windows]).float()
        mask = torch.stack([_cut(region.mask, box) for region, box in windows]).float()
        code = torch.stack([region.code for region, _ in windows])
        defect = torch.tensor([region.defect for region, _ in windows])
        return condition_planes(hole, mask, code, defect, len(self.model.defects))


@dataclass(frozen=True)
class _Region:
    """The part of an image around one hole; its boxes are relative to it. hole, mask: bool [1, h, w]."""

    place: Box
    boxes: list[Box]
    level: Floats
    hole: Tensor
    mask: Tensor
    code: Tensor
    defect: int
    start: Tensor


def _region(model: Inpainting, request: Request, severity: float) -> _Region:
    if request.row.defect not in model.defects:
        raise ModelError(f"the generator knows {model.defects}, not '{request.row.defect}'; run `dvc repro train`")
    hole = dilate(request.mask, model.dilation_px)
    boxes = cover(hole, model.window_px)
    place = union(boxes)
    boxes = [Box(b.y - place.y, b.x - place.x, b.height, b.width) for b in boxes]
    pixels = crop(request.normal, place).astype(np.float32)
    hole, mask = crop(hole, place).astype(bool), crop(request.mask, place).astype(bool)
    level = _level(pixels, hole, boxes)
    known = torch.from_numpy((pixels - level) / model.scale).permute(2, 0, 1)
    rng = np.random.default_rng(derive_seed(request.seed, "noise"))
    code = _code(model, request, severity)
    noise = start(model.grain.noise(place.height, place.width, rng), mask, code, model.grain.deviation)
    hole_plane, mask_plane = (torch.from_numpy(a)[None] for a in (hole, mask))
    begun = torch.where(hole_plane, torch.from_numpy(noise).permute(2, 0, 1), known)
    defect = model.defects.index(request.row.defect)
    return _Region(place, boxes, level, hole_plane, mask_plane, torch.from_numpy(code), defect, begun)


def _level(pixels: Floats, hole: Mask, boxes: list[Box]) -> Floats:
    """Return the context level of every pixel, [h, w, 3]: the weighted mean over the windows it is in."""
    total, weights = np.zeros_like(pixels), np.full_like(pixels[..., :1], 1e-6)
    for box in boxes:
        part = np.s_[box.y : box.y + box.height, box.x : box.x + box.width]
        weight = window_weight(box.height)[..., None]
        total[part] += weight * context_level(pixels[part], hole[part])
        weights[part] += weight
    return total / weights


def _code(model: Inpainting, request: Request, severity: float) -> Floats:
    """Return the appearance code [6]: between the parents' by the mask's alpha, contrast times severity.

    It is zero for a network that was trained without.
    """
    if not model.appearance_code:
        return np.zeros(CODE_SIZE, np.float32)
    rng = np.random.default_rng(derive_seed(request.seed, "appearance"))
    code_a, code_b = (_code_of(model, parent, rng) for parent in (request.parent_a, request.parent_b))
    return np.float32(severity) * ((1 - request.row.alpha) * code_a + request.row.alpha * code_b).astype(np.float32)


def _code_of(model: Inpainting, parent: RealDefect, rng: np.random.Generator) -> Floats:
    image = DefectImage(parent.pixels, parent.mask, 0)
    return defect_window(image, model.window_px, model.dilation_px, model.scale, rng).code


def _batches(jobs: list[tuple[int, Box]], size: int) -> Iterator[list[tuple[int, Box]]]:
    """Yield the jobs in batches of equally large windows."""
    jobs = sorted(jobs, key=lambda job: job[1].height)
    for _, equal in groupby(jobs, key=lambda job: job[1].height):
        windows = list(equal)
        yield from (windows[start : start + size] for start in range(0, len(windows), size))


def _cut(planes: Tensor, box: Box) -> Tensor:
    return planes[:, box.y : box.y + box.height, box.x : box.x + box.width]


def _painted(model: Inpainting, request: Request, region: _Region, state: Tensor) -> Rendered:
    """Return the region with its hole replaced by the sampled pixels; grey stays grey."""
    unchanged = crop(request.normal, region.place).astype(np.float32)
    pixels = state.permute(1, 2, 0).numpy() * model.scale + region.level
    if (request.normal == request.normal[..., :1]).all():
        pixels = pixels.mean(axis=2, keepdims=True).repeat(3, axis=2)
    hole = region.hole[0].numpy()[..., None]
    painted = np.where(hole, pixels, unchanged).astype(np.float32)
    return Rendered(region.place, painted, unchanged, appearance_code=tuple(region.code.tolist()))
