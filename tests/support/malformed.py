"""A fuzz corpus: files that a data folder should not hold, of every kind, made from a seed.

Each case lies where its layout has images and masks: a bad image with a sound mask, a sound image with a bad mask, or
something in the place of one of them that is no file, or is named as no file should be.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from malformed_content import BAD_IMAGES, BAD_MASKS, sound_image, sound_mask

Entry = Callable[[Path, np.random.Generator], Path]
SUFFIXES = (".png", ".jpg", ".bmp", ".tif", ".PNG")


@dataclass(frozen=True)
class Place:
    """Where a layout has the images of one defect and their masks, and what a mask is called, below its folder."""

    images: str
    masks: str
    mask_name: str = "{}.png"


PLACES = {
    "btad": Place("test/ko", "ground_truth/ko"),
    "deepcrack": Place("train_img", "train_lab"),
    "gdxray": Place("W0001", "W0002"),
    "kolektor_sdd2": Place("train", "train", "{}_GT.png"),
    "listing": Place("shots", "shots", "{}_mask.png"),
    "mvtec": Place("test/pit", "ground_truth/pit", "{}_mask.png"),
    "plain": Place("Images", "labels"),
    "visa": Place("Data/Images/Anomaly", "Data/Masks/Anomaly"),
}
"""By name of the layout, as tests/support/miniatures.py writes them."""


def scatter(folder: Path, place: Place, count: int, seed: int) -> list[str]:
    """Make `count` cases below `folder`, every kind in turn, and return the path of each case's image."""
    return [_make(folder, place, case, np.random.default_rng([seed, case])) for case in range(count)]


def _make(folder: Path, place: Place, case: int, rng: np.random.Generator) -> str:
    kinds = [*BAD_IMAGES, *BAD_MASKS, *ODD_ENTRIES, *ODD_MASKS]
    kind, stem = kinds[case % len(kinds)], f"x{case:04d}"
    image = folder / place.images / f"{stem}{rng.choice(SUFFIXES)}"
    mask = folder / place.masks / place.mask_name.format(stem)
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    if kind in ODD_ENTRIES:
        return ODD_ENTRIES[kind](image, rng).relative_to(folder).as_posix()
    image.write_bytes(BAD_IMAGES.get(kind, sound_image)(rng))
    if kind in ODD_MASKS:
        ODD_MASKS[kind](mask, rng)
    else:
        mask.write_bytes(BAD_MASKS.get(kind, sound_mask)(rng))
    return image.relative_to(folder).as_posix()


def _link_out(path: Path, rng: np.random.Generator) -> Path:
    path.symlink_to(rng.choice(["/etc/hostname", "/dev/zero", "/dev/stdin", "/proc/self/mem", "../" * 30, "/"]))
    return path


def _link_to(target: Callable[[Path], Path]) -> Entry:
    def make(path: Path, _: np.random.Generator) -> Path:
        path.symlink_to(target(path))
        return path

    return make


def _pipe(path: Path, _: np.random.Generator) -> Path:
    os.mkfifo(path)
    return path


def _folder(path: Path, rng: np.random.Generator) -> Path:
    path.mkdir()
    (path / "inside.png").write_bytes(sound_image(rng))
    return path / "inside.png"


def _named(name: Callable[[str], bytes]) -> Entry:
    def make(path: Path, rng: np.random.Generator) -> Path:
        odd = path.with_name(os.fsdecode(name(path.stem)))
        odd.write_bytes(sound_image(rng))
        return odd

    return make


def _second_mask(path: Path, rng: np.random.Generator) -> Path:
    for suffix in (".png", ".bmp"):
        path.with_suffix(suffix).write_bytes(sound_mask(rng))
    return path


def _second_mask_without_utf8(path: Path, rng: np.random.Generator) -> Path:
    path.write_bytes(sound_mask(rng))
    return _second_mask(path.with_name(os.fsdecode(os.fsencode(path.stem) + b"\xff.png")), rng)


ODD_ENTRIES: dict[str, Entry] = {
    "a link out": _link_out,
    "a link to itself": _link_to(lambda path: path),
    "a link to nothing": _link_to(lambda path: path.parent / "nothing.png"),
    "a link to its folder": _link_to(lambda path: path.parent),
    "a pipe": _pipe,
    "a folder called x.png": _folder,
    "a line feed": _named(lambda stem: f"{stem}\n.png".encode()),
    "quotes": _named(lambda stem: f"{stem}'\"`$(id)`;<b>&amp;,.png".encode()),
    "a backslash": _named(lambda stem: f"{stem}\\..\\.png".encode()),
    "no name but a suffix": _named(lambda stem: f"{stem}.".encode()),
    "another script": _named(lambda stem: f"{stem}ünï画像\u202e.png".encode()),
    "no UTF-8": _named(lambda stem: stem.encode() + b"\xff\xfe.png"),
    "a surrogate": _named(lambda stem: stem.encode() + b"\xed\xa0\x80.png"),
    "255 bytes": _named(lambda stem: stem.encode().ljust(251, b"x") + b".png"),
    "a document": _named(lambda stem: f"{stem}.xml".encode()),
    "a thumbnail": _named(lambda stem: f"{stem}.webp".encode()),
}
ODD_MASKS = {
    "a mask that is a link out": _link_out,
    "a mask that is a link to itself": ODD_ENTRIES["a link to itself"],
    "a mask that is a link to nothing": ODD_ENTRIES["a link to nothing"],
    "a mask that is a pipe": _pipe,
    "a mask that is a folder": _folder,
    "two masks": _second_mask,
    "two masks of no UTF-8": _second_mask_without_utf8,
}
