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
from pipeline_tasks.images.boxes import Box, bounding_box, crop, union
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.inpainting.appearance import CODE_SIZE, PLANES, Extent, laid, look, measure_code, measure_guide
from pipeline_tasks.inpainting.flow import euler
from pipeline_tasks.inpainting.level import level_within
from pipeline_tasks.inpainting.network import condition_planes, velocity
from pipeline_tasks.inpainting.source import Grain, start
from pipeline_tasks.inpainting.training_windows import DefectImage, random_box, residual
from pipeline_tasks.inpainting.windows import cover, window_weight
from pipeline_tasks.params import Generate
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.storage import content_digest, read_json, write_json

if TYPE_CHECKING:
    from diffusers import UNet2DModel

CARD = "generator.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
CONFIG = "config.json"
MAX_GAIN = 3.0
"""Most that a defect's contrast is changed for a surface brighter or darker than its own."""


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
        look = torch.stack([_cut(region.look, box) for region, box in windows])
        defect = torch.tensor([region.defect for region, _ in windows])
        return condition_planes(hole, mask, look, defect, len(self.model.defects))


@dataclass(frozen=True)
class _Region:
    """The part of an image around one hole; its boxes are relative to it.

    level: [h, w, 3] grey levels; hole, mask: bool [1, h, w]; look: [7, h, w]; start: [3, h, w].
    """

    place: Box
    boxes: list[Box]
    level: Floats
    hole: Tensor
    mask: Tensor
    code: Floats
    look: Tensor
    defect: int
    start: Tensor


def _region(model: Inpainting, request: Request, severity: float) -> _Region:
    if request.row.defect not in model.defects:
        raise ModelError(f"the generator knows {model.defects}, not '{request.row.defect}'; run `dvc repro train`")
    whole = dilate(request.mask, model.dilation_px)
    boxes = cover(whole, model.window_px)
    place = union(boxes)
    boxes = [Box(b.y - place.y, b.x - place.x, b.height, b.width) for b in boxes]
    hole, mask = crop(whole, place).astype(bool), crop(request.mask, place).astype(bool)
    level = level_within(request.normal, whole, place)
    known = _planes((crop(request.normal, place).astype(np.float32) - level) / model.scale)
    code, seen = _look(model, request, mask, place, level, severity)
    rng = np.random.default_rng(derive_seed(request.seed, "noise"))
    noise = start(model.grain.noise(place.height, place.width, rng), seen, model.grain.deviation)
    hole_plane, mask_plane = (torch.from_numpy(plane)[None] for plane in (hole, mask))
    begun = torch.where(hole_plane, _planes(noise), known)
    defect = model.defects.index(request.row.defect)
    return _Region(place, boxes, level, hole_plane, mask_plane, code, _planes(seen), defect, begun)


def _planes(pixels: Floats) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _look(
    model: Inpainting, request: Request, mask: Mask, place: Box, level: Floats, severity: float
) -> tuple[Floats, Floats]:
    """Return the code [12] and the look [h, w, 7]: between the parents' by the mask's alpha, contrast times severity.

    A surface twice as bright as a parent's shows twice its contrast. Both are zero for a network that was trained
    without.
    """
    if not model.appearance_code:
        return np.zeros(CODE_SIZE, np.float32), np.zeros((*mask.shape, PLANES), np.float32)
    rng = np.random.default_rng(derive_seed(request.seed, "appearance"))
    extent, light = _extent(bounding_box(request.mask, 0), place), float(level[mask].mean())
    code, colour = np.zeros(CODE_SIZE, np.float32), np.zeros((*mask.shape, 3), np.float32)
    for parent, share in ((request.parent_a, 1 - request.row.alpha), (request.parent_b, request.row.alpha)):
        its_code, its_colour = _look_of(model, parent, light, extent, mask.shape, rng)
        code += np.float32(severity * share) * its_code
        colour += np.float32(severity * share) * its_colour
    return code, look(mask, code, colour)


def _look_of(
    model: Inpainting,
    parent: RealDefect,
    light: float,
    extent: Extent,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return a real defect's code, of a random window of it, and its guide laid into `extent` of a part of `shape`.

    Their contrast is that on a surface whose level is `light`.
    """
    image = DefectImage(parent.pixels, parent.mask, 0, model.dilation_px)
    window, whole = random_box(image, model.window_px, rng), bounding_box(parent.mask, 0)
    mask, level = crop(parent.mask, whole).astype(bool), level_within(parent.pixels, image.hole, whole)
    gain = float(np.clip(light / max(float(level[mask].mean()), 1.0), 1 / MAX_GAIN, MAX_GAIN)) / model.scale
    code = measure_code(gain * residual(image, window), crop(parent.mask, window).astype(bool))
    guide = measure_guide(gain * (crop(parent.pixels, whole).astype(np.float32) - level), mask)
    return code, laid(guide, extent, shape)


def _extent(box: Box, place: Box) -> Extent:
    return box.y - place.y, box.x - place.x, box.height, box.width


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
