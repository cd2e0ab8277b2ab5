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

from pipeline_tasks.backends.protocol import Floats, Rendered, Request, settings_digest
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.errors import ModelError
from pipeline_tasks.images.boxes import Box, bounding_box, crop, union
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.inpainting.appearance import CODE_SIZE, PLANES, Extent, Guide, laid, look
from pipeline_tasks.inpainting.exemplar import measure_exemplar
from pipeline_tasks.inpainting.flow import euler
from pipeline_tasks.inpainting.initial import SCRATCH
from pipeline_tasks.inpainting.level import level_within
from pipeline_tasks.inpainting.network import condition_planes, velocity
from pipeline_tasks.inpainting.source import Grain, start
from pipeline_tasks.inpainting.training_windows import DefectImage
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
"""Most that a defect's contrast is raised by, for a surface brighter than its own."""


@dataclass(frozen=True)
class Inpainting:
    """A trained network and what it was trained with: defect names, pixel scale in grey levels, window, hole, code.

    init, init_digest: what the training started from, prior, scratch or folder, and the SHA-256 (hex) of its files.
    """

    unet: "UNet2DModel"
    defects: list[str]
    scale: float
    grain: Grain
    window_px: int
    dilation_px: int
    appearance_code: bool = True
    init: str = SCRATCH
    init_digest: str = ""
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
            "init": self.init,
            "init_digest": self.init_digest,
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
        look = torch.stack(
            [_planes(region.look.within(_cut(region.mask, box)[0].numpy(), box)) for region, box in windows]
        )
        defect = torch.tensor([region.defect for region, _ in windows])
        return condition_planes(hole, mask, look, defect, len(self.model.defects))


@dataclass(frozen=True)
class _Look:
    """What a new defect is to look like: its code [12], and its parents' guides, each with its share of the contrast.

    extent: of the new defect in its region. Without guides, for a network that was trained without, it says nothing.
    """

    code: Floats
    guides: Sequence[tuple[float, Guide]]
    extent: Extent

    def within(self, mask: Mask, box: Box) -> Floats:
        """Return the planes [h, w, 7] in the part `box` of the region, whose mask [h, w] is given."""
        if not self.guides:
            return np.zeros((*mask.shape, PLANES), np.float32)
        y, x, height, width = self.extent
        here = (y - box.y, x - box.x, height, width)
        colour = sum(share * laid(guide, here, mask.shape) for share, guide in self.guides)
        return look(mask, self.code, np.asarray(colour, np.float32))


@dataclass(frozen=True)
class _Region:
    """The part of an image around one hole; its boxes are relative to it.

    level: [h, w, 3] grey levels; hole, mask: bool [1, h, w]; start: [3, h, w].
    """

    place: Box
    boxes: list[Box]
    level: Floats
    hole: Tensor
    mask: Tensor
    look: _Look
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
    seen = _look(model, request, place, float(level[mask].mean()), severity)
    rng = np.random.default_rng(derive_seed(request.seed, "noise"))
    noise = model.grain.noise(place.height, place.width, rng)
    begun = start(noise, seen.within(mask, Box(0, 0, *mask.shape)), model.grain.deviation)
    hole_plane, mask_plane = (torch.from_numpy(plane)[None] for plane in (hole, mask))
    defect = model.defects.index(request.row.defect)
    return _Region(
        place, boxes, level, hole_plane, mask_plane, seen, defect, torch.where(hole_plane, _planes(begun), known)
    )


def _planes(pixels: Floats) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _look(model: Inpainting, request: Request, place: Box, light: float, severity: float) -> _Look:
    """Return the look between the parents' by the mask's alpha, contrast times severity.

    light: the level of the surface; one twice as bright as a parent's shows twice its contrast, a darker one no less.
    """
    own = bounding_box(request.mask, 0)
    extent = (own.y - place.y, own.x - place.x, own.height, own.width)
    if not model.appearance_code:
        return _Look(np.zeros(CODE_SIZE, np.float32), [], extent)
    rng = np.random.default_rng(derive_seed(request.seed, "appearance"))
    code, guides = np.zeros(CODE_SIZE, np.float32), []
    for parent, share in ((request.parent_a, 1 - request.row.alpha), (request.parent_b, request.row.alpha)):
        image = DefectImage(parent.pixels, parent.mask, 0, model.dilation_px)
        seen = measure_exemplar(image, model.window_px, model.scale, rng)
        contrast = severity * share * float(np.clip(light / max(seen.level, 1.0), 1, MAX_GAIN))
        code += np.float32(contrast) * seen.code
        guides.append((contrast, seen.guide))
    return _Look(code, guides, extent)


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
    return Rendered(region.place, painted, unchanged, appearance_code=tuple(region.look.code.tolist()))
