"""The raw files of a product as they are now, against the samples that were read from them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from pipeline_tasks.audit.stage_links import Ground
from pipeline_tasks.catalog import Product
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.images.codec import decode_image, decode_mask, read_file, read_image, read_mask
from pipeline_tasks.layouts import layout
from pipeline_tasks.layouts.contents import is_file_inside
from pipeline_tasks.layouts.raw import RawSample
from pipeline_tasks.lineage.lock import md5_of
from pipeline_tasks.params import Ingest
from pipeline_tasks.provenance import PACKAGE
from pipeline_tasks.schema import GOOD, Sample

Outcome = Literal["the same", "changed", "gone", "no mask", "other image", "other label"]
"""What became of a sample's files. Of the last two, the image file has the SHA-256 of the sample: `other image` if its
pixels are not the sample's; `other label` if its defect or its mask file's pixels are not."""
DECODING = ("images/codec.py", "layouts")
"""The code that finds raw files and decodes them."""


@dataclass(frozen=True)
class RawFiles:
    """The raw files of a product. limits: the version's. samples: what they are by their layout, by source_path."""

    folder: Path
    limits: Ingest
    samples: Mapping[str, RawSample]

    @classmethod
    def of(cls, folder: Path, product: str, item: Product, params: Any) -> "RawFiles":
        """Look into a product's folder; `params`: the values of the version's params.yaml.

        Raises ConfigError if these do not have what ingest reads of them.
        """
        try:
            limits = Ingest.model_validate(params["ingest"])
        except (KeyError, TypeError, ValidationError) as error:
            raise ConfigError(f"the version's params.yaml: ingest is not as this code has it ({error!r})") from error
        try:
            items = layout(item.layout).read(folder, product, limits)
        except (ConfigError, DataError):  # the folder may hold something else by now
            items = []
        return cls(folder, limits, {each.source_path: each for each in items if isinstance(each, RawSample)})

    def look(self, sample: Sample) -> Outcome:
        """Return what became of the files that a sample was read from."""
        raw = self.samples.get(sample.source_path)
        data = self._content(raw.image if raw else self.folder / sample.source_path)
        if data is None:
            return "gone"
        if hashlib.sha256(data).hexdigest() != sample.sha256:
            return "changed"
        if not self._is_image(data, sample):
            return "other image"
        return self._look_at_label(raw, sample)

    def _look_at_label(self, raw: RawSample | None, sample: Sample) -> Outcome:
        if raw is None:
            return "the same" if sample.defect == GOOD else "no mask"
        if raw.defect != sample.defect:
            return "other label"
        mask = self._content(raw.mask) if raw.mask and raw.defect != GOOD else None
        if mask is None:
            return "no mask" if sample.mask else "the same"
        return "the same" if self._is_mask(mask, sample) else "other label"

    def _content(self, file: Path) -> bytes | None:
        """Return what is in a file; None if there is none in the folder that can be read."""
        try:
            return read_file(file, self.limits) if is_file_inside(file, self.folder) else None
        except (DataError, OSError):
            return None

    def _is_image(self, data: bytes, sample: Sample) -> bool:
        try:
            return np.array_equal(read_image(data, self.limits), decode_image(sample.image))
        except DataError:
            return False

    def _is_mask(self, data: bytes, sample: Sample) -> bool:
        try:
            return np.array_equal(read_mask(data, self.limits), decode_mask(sample.mask or b""))
        except DataError:
            return False


def is_as_it_was_read(ground: Ground, product: str, item: Product, folder: Path) -> bool:
    """Tell whether a folder of raw files has the digest that, by the lock, ingest read: mask files have none alone."""
    return md5_of(folder) in digests_read(ground, product, item)


def digests_read(ground: Ground, product: str, item: Product) -> list[str]:
    """Return DVC's digest of the raw files that ingest read, as the lock has it; nothing where it has none."""
    deps = ground.lock.stages[f"ingest@{product}"].get("deps", [])
    return [dep["md5"] for dep in deps if dep["path"] == item.path and "md5" in dep]


def decodes_alike(tree: Path) -> bool:
    """Tell whether this code finds and decodes raw files as the version's own does, whose files are in `tree`."""
    return _decoding(tree / PACKAGE.name) == _decoding(PACKAGE)


def _decoding(package: Path) -> dict[str, bytes]:
    files = [file for part in DECODING for file in (package / part, *sorted((package / part).glob("*.py")))]
    return {file.relative_to(package).as_posix(): file.read_bytes() for file in files if file.is_file()}
