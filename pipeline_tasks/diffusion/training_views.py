"""Random views of base samples to train on: what the sampler will see, shifted, scaled and mirrored."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline_tasks.diffusion.views import Floats, mask_box, see_mask, see_mask_as_picture, see_pixels, view_box
from pipeline_tasks.errors import DataError
from pipeline_tasks.images.boxes import Box, fit
from pipeline_tasks.images.codec import Mask, Pixels, decode_image, decode_mask
from pipeline_tasks.params import Backend
from pipeline_tasks.prompts import PromptBook, mask_prompt
from pipeline_tasks.schema import GOOD, Sample

MASK_ZOOM = 2.0
"""How much wider than its frame a view of a mask may be."""


@dataclass(frozen=True)
class PromptedImage:
    """A decoded sample: RGB uint8 [H, W, 3], its mask bool [H, W] (empty on a normal image), the prompts of both."""

    pixels: Pixels
    mask: Mask
    prompt: str
    mask_prompt: str


def prompted(sample: Sample, prompts: PromptBook) -> PromptedImage:
    """Return a sample decoded. Its mask's prompt is that of its defect: new masks are of no sample.

    Raises DataError for a defect without a mask.
    """
    pixels, of_defect = decode_image(sample.image), prompts.of(sample.product, sample.defect, "")
    mask = np.zeros(pixels.shape[:2], bool)
    if sample.defect != GOOD:
        if sample.mask is None:
            raise DataError(f"sample {sample.source_path}: a defect without a mask; re-run ingest")
        mask = decode_mask(sample.mask)
    prompt = prompts.of(sample.product, sample.defect, sample.source_path)
    return PromptedImage(pixels, mask, prompt, mask_prompt(of_defect))


@dataclass(frozen=True)
class View:
    """What is seen of an image: pixels [3, S, S] in -1..1; mask and hole, bool [S, S].

    The hole is what an inpainting base has to fill: the mask, or on a normal image that of another view, so that it
    learns what to paint where there is no defect. `box` is the part of the image that is seen.
    """

    pixels: Floats
    mask: Mask
    hole: Mask
    prompt: str
    box: Box


def defect_view(image: PromptedImage, backend: Backend, rng: np.random.Generator) -> View:
    """Return a random view of a defect, as `backend.view` and `backend.resolution_px` say.

    'window': a square that holds the defect anywhere, at a scale between native resolution and that of
    diffusion.views.view_box; one smaller than the defect lies around a random point of it. 'image': all of it.
    """
    whole = view_box(image.mask, backend.resolution_px, backend.view)
    box = whole if backend.view == "image" else _window(image.mask, backend.resolution_px, whole.width, rng)
    mask = see_mask(image.mask, box, backend.resolution_px)
    view = View(see_pixels(image.pixels, box, backend.resolution_px), mask, mask, image.prompt, box)
    return _mirrored(view, rng)


def normal_view(image: PromptedImage, like: View, backend: Backend, rng: np.random.Generator) -> View:
    """Return a view of a normal image, anywhere in it, of the scale and with the hole of the defect view `like`.

    It is no larger than the image, as none is in sampling: `like` may show another product.
    """
    height, width = image.mask.shape
    box = Box(0, 0, height, width)
    if backend.view == "window":
        side = min(like.box.width, max(height, width, backend.resolution_px))
        y, x = (fit(int(rng.integers(max(size - side, 0) + 1)), side, size) for size in (height, width))
        box = Box(y, x, side, side)
    pixels = see_pixels(image.pixels, box, backend.resolution_px)
    view = _mirrored(View(pixels, np.zeros_like(like.hole), like.hole, image.prompt, box), rng)
    return replace(view, hole=like.hole)


def _window(mask: Mask, smallest_px: int, largest_px: int, rng: np.random.Generator) -> Box:
    side = round(float(np.exp(rng.uniform(np.log(smallest_px), np.log(largest_px)))))
    points = np.argwhere(mask)
    point, first, last = points[rng.integers(len(points))], points.min(axis=0), points.max(axis=0)
    starts = []
    for axis, size in enumerate(mask.shape):
        held = (first[axis], last[axis]) if last[axis] - first[axis] < side else (point[axis], point[axis])
        starts.append(fit(int(rng.integers(held[1] - side + 1, held[0] + 1)), side, size))
    return Box(starts[0], starts[1], side, side)


def _mirrored(view: View, rng: np.random.Generator) -> View:
    """Return the view, mirrored along each axis with probability one half."""
    axes = tuple(axis for axis in (-2, -1) if rng.random() < 0.5)
    return replace(
        view, pixels=np.flip(view.pixels, axes), mask=np.flip(view.mask, axes), hole=np.flip(view.hole, axes)
    )


def mask_view(mask: Mask, resolution_px: int, rng: np.random.Generator) -> Floats:
    """Return a random view of a mask as an image, [3, S, S] in -1..1, for latent masks (DefectSynth III-C).

    It is framed as diffusion.views.mask_box does, or up to twice as wide around it.
    """
    framed = mask_box(mask)
    side = round(framed.width * float(np.exp(rng.uniform(0, np.log(MASK_ZOOM)))))
    y, x = (start - int(rng.integers(side - framed.width + 1)) for start in (framed.y, framed.x))
    seen = see_mask_as_picture(mask, Box(y, x, side, side), resolution_px)
    axes = tuple(axis for axis in (1, 2) if rng.random() < 0.5)
    return np.ascontiguousarray(np.flip(seen, axes))
