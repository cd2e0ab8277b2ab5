"""What a defect's pairs were made of, as the tables and the parameters of their version have it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline_tasks.audit.tables import Tables
from pipeline_tasks.catalog import Defect
from pipeline_tasks.errors import ConfigError, DataError, refusals_named
from pipeline_tasks.images.codec import Pixels, decode_image, decode_mask, mask_digest
from pipeline_tasks.manifest import read_manifest
from pipeline_tasks.schema import GOOD, MaskRow, Sample
from pipeline_tasks.storage import read_rows

AT_ONCE = os.cpu_count() or 1
"""Rows checked at the same time: decoding and hashing let other threads work."""
KEPT = 2 * AT_ONCE
"""Normal images kept decoded at the least: those who ask in the order of their names decode each once ..."""
KEPT_BYTES = 2**27
"""... more where that many fit into this: those who ask again and again decode each once."""
DIGEST = "digest"
"""The key of the digest of its pixels in what is kept of a mask row."""
OF_MASK = ("seed", "source", "normal_path", "normal_sha256", "kind", "parent_a", "parent_b", "alpha", "warp")
"""The other columns that are kept of it."""


@dataclass(frozen=True)
class Rules:
    """What the version's params.yaml says of its pairs. whole: the generator makes masks and normal images itself."""

    asked: int
    dilation_px: int
    whole: bool

    @classmethod
    def of(cls, params: Any) -> "Rules":
        """Return the rules in the values of a params.yaml. Raises ConfigError if it lacks one."""
        try:
            generate = params["generate"]
            whole = params["backend"]["name"] == "dit" and generate["dit"]["mode"] == "free"
            return cls(int(params["masks"]["pairs_per_defect"]), int(generate["dilation_px"]), whole)
        except (KeyError, TypeError, ValueError) as error:
            keys = "masks.pairs_per_defect, generate.dilation_px, backend.name and generate.dit.mode"
            raise ConfigError(f"the version's params.yaml does not tell {keys} as it does now ({error!r})") from error


@dataclass(frozen=True)
class Origins:
    """What a defect's pairs were made of.

    masks: OF_MASK and DIGEST of the mask rows by index. parents: the base samples' SHA-256 by source_path of the real
    defects, of the source product. normals: the same of the normal images of the product; pixels_of: returns their
    pixels.
    """

    masks: Mapping[int, Mapping[str, Any]]
    parents: Mapping[str, str]
    normals: Mapping[str, str]
    pixels_of: Callable[[str], Pixels]
    rules: Rules


def origins_of(tables: Tables, item: Defect, rules: Rules) -> Origins:
    """Read what a defect's pairs were made of, one row at a time. Raises DataError or SchemaError if it cannot be."""
    masks = tables.lock.output(f"masks@{item.product}-{item.defect}", "*.parquet")
    own, theirs = tables.samples(item.product, "base"), tables.samples(item.source, "base")
    normals = tables.file(own, f"{GOOD}.parquet")
    return Origins(
        masks=_masks(tables.file(masks)),
        parents=_digests(tables.file(theirs, f"{item.defect}.parquet")),
        normals=_digests(normals),
        pixels_of=_pixels_of(normals, tables.folder),
        rules=rules,
    )


def _masks(table: Path) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for row in read_rows(table, MaskRow):
        if row.pair_index in found:
            raise DataError(f"the masks table has index {row.pair_index} more than once")
        found[row.pair_index] = {name: getattr(row, name) for name in OF_MASK} | {DIGEST: _digest_of(row.mask)}
    return found


def _digest_of(mask: bytes) -> str:
    """Return the digest of a mask's pixels; "", which is no pair's, of one that cannot be decoded."""
    try:
        return mask_digest(decode_mask(mask))
    except DataError:
        return ""


def _digests(table: Path) -> dict[str, str]:
    rows = read_manifest([table], Sample)
    return dict(zip(rows["source_path"].to_pylist(), rows["sha256"].to_pylist(), strict=True))


def _pixels_of(table: Path, folder: Path) -> Callable[[str], Pixels]:
    """Return what gives the pixels of a table's samples by source_path: PNG files in a folder, some kept decoded.

    Raises StorageError if the folder takes no more.
    """
    files: dict[str, Path] = {}
    largest = 1
    for number, sample in enumerate(read_rows(table, Sample)):
        file = files[sample.source_path] = folder / f"normal-{number}.png"
        largest = max(largest, 3 * sample.width * sample.height)
        with refusals_named(file):
            file.write_bytes(sample.image)

    @lru_cache(maxsize=max(KEPT, KEPT_BYTES // largest))
    def pixels(source_path: str) -> Pixels:
        return decode_image(files[source_path].read_bytes())

    return pixels
