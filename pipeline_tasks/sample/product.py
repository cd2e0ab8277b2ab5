"""The sample product: photographs of good and defective plates, as a folder in the MVTec-AD layout."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline_tasks.drawing.defects import DEFECTS, SEVERITIES, Severity
from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.progress import track
from pipeline_tasks.sample.photograph import photograph
from pipeline_tasks.schema import GOOD
from pipeline_tasks.storage import atomic_folder, content_digest, read_json, write_json

VERSION = 1
"""Raised when the drawing changes: a product that an older version drew is drawn anew."""
CARD = "sample.json"
"""File at the product's root: what it was drawn from, and the digest of what was drawn."""

LICENCE = "CC0-1.0"
"""Of what is drawn, an SPDX identifier: the drawings are for anybody and anything."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many images the product has."""

    train_good: int
    test_good: int
    per_defect: int


FEW_SHOT = Counts(train_good=40, test_good=16, per_defect=24)


@dataclass(frozen=True, slots=True)
class Shot:
    """One image of the product."""

    split: Literal["train", "test"]
    index: int
    defect: str | None = None

    @property
    def name(self) -> str:
        """The image's path below the product's folder, without its ending."""
        return f"{self.split}/{self.defect or GOOD}/{self.index:03d}"

    @property
    def severity(self) -> Severity:
        """The defect's severity; they alternate over names, so that the first few names hold them all."""
        return SEVERITIES[self.index % len(SEVERITIES)]


def plan(counts: Counts) -> list[Shot]:
    """Return every image of the product, folder by folder."""
    good = [Shot("train", index) for index in range(counts.train_good)]
    good += [Shot("test", index) for index in range(counts.test_good)]
    return good + [Shot("test", index, defect) for defect in DEFECTS for index in range(counts.per_defect)]


def write_product(folder: Path, seed: int, counts: Counts) -> bool:
    """Draw the product of `seed` into `folder`, whole or not at all; return False if it is there already.

    A product of another seed or version is replaced. Raises DataError if the folder holds anything else, or if files
    were added to that product or changed.
    """
    folder, origin = folder.resolve(), {"seed": seed, "version": VERSION, "counts": asdict(counts)}
    if _holds(folder, origin):
        return False
    with atomic_folder(folder) as fresh:
        for shot in track(plan(counts), "sample"):
            _write_shot(fresh, seed, shot)
        write_json(fresh / CARD, {**origin, "digest": _digest(fresh)})
    return True


def _holds(folder: Path, origin: dict[str, Any]) -> bool:
    """Return whether `folder` holds the product of `origin`. Raises DataError if it holds what may not be replaced."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not (folder / CARD).is_file():
        raise DataError(f"{folder}: exists, but is no sample product (it has no {CARD}); name a new folder")
    card = read_json(folder / CARD)
    if isinstance(card, dict) and origin.items() <= card.items():
        return True
    if not isinstance(card, dict) or card.get("digest") != _digest(folder):
        raise DataError(
            f"{folder}: holds another sample product, and files in it were added or changed since it was drawn; "
            "name a new folder, or delete this one if nothing in it is needed"
        )
    return False


def is_sample(folder: Path) -> bool:
    """Tell whether a folder holds a sample product as it was drawn, with nothing added or changed."""
    if not (folder / CARD).is_file():
        return False
    card = read_json(folder / CARD)
    return isinstance(card, dict) and card.get("digest") == _digest(folder)


def _digest(folder: Path) -> str:
    return content_digest(*sorted(path for path in folder.iterdir() if path.name != CARD))


def _write_shot(folder: Path, seed: int, shot: Shot) -> None:
    photo = photograph(seed, shot.name, shot.defect, shot.severity)
    image = folder / f"{shot.name}.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(encode_image(photo.pixels))
    if shot.defect:
        mask = folder / "ground_truth" / shot.defect / f"{image.stem}_mask.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        mask.write_bytes(encode_mask(photo.mask))
