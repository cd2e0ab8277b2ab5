"""Defects without a model and without real ones: CutPaste (Li et al. 2021) and Perlin textures (DRAEM, Zavrtanik 2021).

The arms that CAGen compares with. They are made on normal base images only.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import cv2
import numpy as np

from pipeline_tasks.benefit.material import Piece, synthetic_piece
from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.images.foreground import foreground
from pipeline_tasks.masks.perlin import place_noise
from pipeline_tasks.masks.shape import Reason, Refusal, Shape
from pipeline_tasks.params import Perlin
from pipeline_tasks.schema import GOOD
from pipeline_tasks.seeds import derive_seed

ATTEMPTS = 20
PATCH_AREA = (0.02, 0.15)
"""CutPaste's patch: its share of the image, ..."""
PATCH_ASPECT = (0.3, 3.3)
"""... and its width over its height."""
SCAR_PX = ((2, 16), (10, 25))
"""CutPaste's scar: range of its width and of its length, px of an image of 256 px."""
SCAR_DEGREES = 45.0
JITTER = 0.1
"""Largest change of a patch's brightness and contrast, a share of full scale (CutPaste section 3.2)."""
OPACITY = (0.1, 1.0)
"""Of a texture over the image: one minus DRAEM's beta."""

SIMULATED = ("cutpaste", "perlin")
"""Sources of defects that this module makes."""


def simulate(
    source: str, normals: Sequence[Piece], defects: Sequence[str], count: int, perlin: Perlin, margin_px: int, seed: int
) -> list[Piece]:
    """Return about `count` simulated defects by `source`, cutpaste or perlin, spread evenly over the names `defects`.

    Each is drawn from `seed` and its number alone: a normal image, and another one that the texture comes from. An
    image on which nothing fits is passed over. Raises KeyError for another source.
    """
    draw, made = DRAWS[source], []
    for number in range(count if normals and defects else 0):
        rng = np.random.default_rng(derive_seed(seed, source, number))
        on, of = (normals[int(rng.integers(len(normals)))] for _ in range(2))
        with suppress(Refusal):
            pixels, mask = draw(on, of, perlin, rng)
            name = f"{source}/{number:06d}"
            made.append(
                synthetic_piece(pixels, mask, defects[number % len(defects)], name, on.origins | of.origins, margin_px)
            )
    return made


def normals_of(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the normal images among `pieces`."""
    return [piece for piece in pieces if piece.defect == GOOD]


def _cut_and_paste(on: Piece, _: Piece, __: Perlin, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """Return an image with a patch of itself, or a turned scar, at another place, its colours changed a little."""
    pixels, on_object = on.scene.pixels.copy(), foreground(on.scene.pixels)
    height, width = on_object.shape
    for _attempt in range(ATTEMPTS):
        patch, shape = _scar(pixels, rng) if rng.random() < 0.5 else _patch(pixels, rng)
        rows, columns = shape.shape
        y, x = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        place = np.s_[y : y + rows, x : x + columns]
        mask = np.zeros_like(on_object)
        mask[place] = shape & on_object[place]
        if mask.any():
            coloured = _jitter(patch, rng)
            pixels[mask] = coloured[mask[place]]
            return pixels, mask
    raise Refusal(Reason.BACKGROUND)


def _patch(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """Return a rectangle of an image, and its mask, which is full."""
    area = rng.uniform(*PATCH_AREA) * pixels.shape[0] * pixels.shape[1]
    aspect = np.exp(rng.uniform(*np.log(PATCH_ASPECT)))
    rows, columns = (
        int(np.clip(round(side), 1, most))
        for side, most in zip((np.sqrt(area / aspect), np.sqrt(area * aspect)), pixels.shape[:2], strict=True)
    )
    y, x = int(rng.integers(pixels.shape[0] - rows + 1)), int(rng.integers(pixels.shape[1] - columns + 1))
    return pixels[y : y + rows, x : x + columns].copy(), np.ones((rows, columns), bool)


def _scar(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """Return a thin rectangle of an image, turned, and the mask of where it then is."""
    scale = min(pixels.shape[:2]) / 256
    thin, long = (max(1, round(scale * rng.uniform(*limits))) for limits in SCAR_PX)
    reach = int(np.ceil(np.hypot(thin, long)))
    if reach >= min(pixels.shape[:2]):
        return _patch(pixels, rng)
    y, x = (int(rng.integers(size - reach)) for size in pixels.shape[:2])
    turn = cv2.getRotationMatrix2D((reach / 2, reach / 2), rng.uniform(-SCAR_DEGREES, SCAR_DEGREES), 1.0)
    bar = np.zeros((reach, reach), np.uint8)
    top, left = (reach - long) // 2, (reach - thin) // 2
    bar[top : top + long, left : left + thin] = 255
    turned = cv2.warpAffine(bar, turn, (reach, reach)) > 127
    colours = cv2.warpAffine(
        pixels[y : y + reach, x : x + reach], turn, (reach, reach), borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(colours, np.uint8), turned


def _jitter(patch: Pixels, rng: np.random.Generator) -> Pixels:
    contrast, brightness = 1 + rng.uniform(-JITTER, JITTER), 255 * rng.uniform(-JITTER, JITTER)
    level = patch.mean()
    return np.asarray(np.clip((patch - level) * contrast + level + brightness, 0, 255), np.uint8)


def _textured(on: Piece, of: Piece, perlin: Perlin, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """Return an image with another one's texture showing through blobs of noise.

    DRAEM takes textures of a data set of their own (DTD); these are other normal images of the product, turned,
    with brightness, contrast and colours changed.
    """
    pixels, on_object = on.scene.pixels, foreground(on.scene.pixels)
    anywhere = Shape(np.ones((1, 1), bool), (0, 0), (1, 1), frozenset())
    mask = place_noise(anywhere, on_object, perlin, rng).mask
    turned = np.ascontiguousarray(np.rot90(of.scene.pixels, int(rng.integers(4))))
    texture = cv2.resize(turned, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    gains, shifts = rng.uniform(0.5, 1.5, 3), rng.uniform(-80, 80, 3)
    coloured = (texture.astype(np.float32) - texture.mean()) * gains + texture.mean() + shifts
    opacity, image = rng.uniform(*OPACITY), pixels.astype(np.float32)
    image[mask] += opacity * (coloured[mask] - image[mask])
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8), mask


DRAWS: Mapping[str, Callable[[Piece, Piece, Perlin, np.random.Generator], tuple[Pixels, Mask]]] = {
    "cutpaste": _cut_and_paste,
    "perlin": _textured,
}
