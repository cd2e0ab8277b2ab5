"""Drawn marks of several colours among dirt: of some there are few real ones, a generator's pairs show all of them."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from rows import digest, pair, sample

from pipeline_tasks.images.codec import Mask, Pixels, encode_image, encode_mask
from pipeline_tasks.schema import GOOD, Pair, Sample

SIDE = 48
RED, GREEN, BLUE, YELLOW = (220, 50, 50), (50, 190, 50), (50, 50, 220), (230, 220, 50)
COLOURS = (RED, GREEN, BLUE, YELLOW)
DIRT = ((60, 60, 60), (90, 90, 90), (190, 190, 190), (220, 220, 220), (50, 200, 200), (210, 50, 210))
REAL = (RED, RED, RED, GREEN, GREEN, GREEN, BLUE, YELLOW)
"""The colour of each real mark: what only one shows cannot be learned while that one is left out."""


def drawn(seed: int, colour: tuple[int, int, int] | None) -> tuple[Pixels, Mask]:
    """Return a surface with dirt [SIDE, SIDE, 3] and, where a colour is given, a mark of it; and where that is."""
    rng = np.random.default_rng(seed)
    pixels = np.clip(140 + rng.normal(0, 8, (SIDE, SIDE, 1)) + np.zeros(3), 0, 255).astype(np.uint8)
    for index in rng.integers(len(DIRT), size=5):
        _disc(pixels, rng, DIRT[index])
    mask = np.zeros((SIDE, SIDE), bool)
    if colour:
        clean = pixels.copy()
        _disc(pixels, rng, colour)
        mask = (pixels != clean).any(axis=2)
    return pixels, mask


def _disc(pixels: Pixels, rng: np.random.Generator, colour: tuple[int, int, int]) -> None:
    centre = rng.integers(6, SIDE - 6, 2).tolist()
    cv2.circle(pixels, centre, int(rng.integers(3, 6)), colour, -1)


def real_marks() -> list[Sample]:
    """Return base samples: marks of the colours REAL, and four normal images."""
    marked = [sample("mark", n, "base", *drawn(n, colour)) for n, colour in enumerate(REAL)]
    return marked + [sample(GOOD, n, "base", *drawn(100 + n, None)) for n in range(4)]


def marked_pairs(count: int = 48) -> list[Pair]:
    """Return pairs with marks of every colour, whatever the colour of the real one that they name as their parent."""
    return [_pair(index, COLOURS) for index in range(count)]


def pasted_pairs(count: int = 48) -> list[Pair]:
    """Return pairs with marks of the colours that many real ones have: some gain, less than `marked_pairs`."""
    return [replace(_pair(index, (RED, GREEN)), backend="paste") for index in range(count)]


def _pair(index: int, colours: Sequence[tuple[int, int, int]]) -> Pair:
    pixels, mask = drawn(1000 + index, colours[index % len(colours)])
    parent, host = f"base/mark/{index // 4 % 8:03d}.png", f"base/{GOOD}/{index // 12:03d}.png"
    origin = {"parent_a": parent, "parent_b": parent, "normal_path": host, "normal_sha256": digest(host)}
    return replace(pair("mark", index, image=encode_image(pixels), mask=encode_mask(mask)), **origin)


def mislabelled(pairs: list[Pair]) -> list[Pair]:
    """Return the pairs with their masks shuffled among them."""
    order = np.roll(np.arange(len(pairs)), 1)
    return [replace(made, mask=pairs[other].mask) for made, other in zip(pairs, order, strict=True)]
