"""One row of a version's pairs: whether it is as it was made, and agrees with the tables that it was made of."""

from collections.abc import Iterator
from dataclasses import asdict

import cv2

from pipeline_tasks.audit.origins import DIGEST, Origins
from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import Mask, Pixels, decode_image, decode_mask, image_digest, mask_digest
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.provenance import row_digest
from pipeline_tasks.schema import ATTENTION, Pair
from pipeline_tasks.seeds import derive_seed

FROM_MASK = {"normal_path": "normal_path", "normal_sha256": "normal_sha256", "mask_kind": "kind", "alpha": "alpha"} | {
    name: name for name in ("parent_a", "parent_b", "warp")
}
"""The columns of a pair that repeat its mask row's, by their names there; not where the generator made the mask."""
IMPOSSIBLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a check may raise for values that no generator writes, as a null in a list of numbers."""
OF_BASE = ("parent_a", "parent_b", "reference", "nearest_base")
"""The columns that name a real defect of the source's base set."""


def faults_of(pair: Pair, origins: Origins) -> list[str]:
    """Return what is wrong with a row, in words; nothing of one that is as it was made."""
    try:
        return [*_seal(pair), *_kind(pair, origins), *_pixels(pair, origins), *_seeds(pair), *_origins(pair, origins)]
    except (*IMPOSSIBLE, cv2.error) as error:
        return [f"it cannot be checked ({error!r})"]


def _seal(pair: Pair) -> Iterator[str]:
    if row_digest(asdict(pair)) != pair.row_sha256:
        yield "edited since it was made: its seal does not fit"


def _kind(pair: Pair, origins: Origins) -> Iterator[str]:
    """Tell of a row that is, against the parameters, exempt from what mask row and normal image say, or is not."""
    whole = pair.mask_kind == ATTENTION, pair.normal_path is None, pair.normal is not None
    if {*whole} != {origins.rules.whole}:
        own = "with a normal image of its own" if pair.normal is not None else "without a normal image of its own"
        told = f"mask_kind is {pair.mask_kind!r}, normal_path {pair.normal_path!r}, {own}"
        yield f"{told}: params.yaml lets the generator make {'all of it' if origins.rules.whole else 'none of it'}"


def _pixels(pair: Pair, origins: Origins) -> Iterator[str]:
    try:
        image, mask, normal = decode_image(pair.image), decode_mask(pair.mask), _normal(pair, origins)
    except DataError as error:
        yield f"its pixels cannot be read ({error})"
        return
    if image_digest(image) != pair.image_sha256:
        yield "its image is not the one that was made (image_sha256)"
    yield from _mask(pair, mask_digest(mask), origins)
    if pair.normal is not None and normal is not None and image_digest(normal) != pair.normal_sha256:
        yield "its normal image is not the one that was made (normal_sha256)"
    if normal is not None:
        yield from _outside(pair, image, mask, normal, origins.rules.dilation_px)


def _normal(pair: Pair, origins: Origins) -> Pixels | None:
    """Return the normal image that a pair differs from; None if it has none, which is told elsewhere."""
    if pair.normal is not None:
        return decode_image(pair.normal)
    path = pair.normal_path
    return origins.pixels_of(path) if path is not None and path in origins.normals else None


def _mask(pair: Pair, digest: str, origins: Origins) -> Iterator[str]:
    if digest != pair.mask_sha256:
        yield "its mask is not the one that was made (mask_sha256)"
    row = origins.masks.get(pair.pair_index)
    if row is not None and pair.mask_kind != ATTENTION and row[DIGEST] != digest:
        yield "its mask is not, pixel for pixel, the one in the masks table"


def _outside(pair: Pair, image: Pixels, mask: Mask, normal: Pixels, dilation_px: int) -> Iterator[str]:
    """Compare what changed outside the dilated mask with what the row says of it."""
    if not image.shape == normal.shape == (*mask.shape, 3) == (pair.height, pair.width, 3):
        yield f"its image, mask and normal image are not all of {pair.width} x {pair.height} px"
        return
    change = cv2.absdiff(image, normal)
    change[dilate(mask, dilation_px)] = 0
    if (found := int(change.max())) != pair.change_outside_max:
        told = f"outside of the dilated mask it differs from its normal image by up to {found} grey levels"
        yield f"{told}, and change_outside_max is {pair.change_outside_max}"


def _seeds(pair: Pair) -> Iterator[str]:
    """Compare the seed with the one that the attempt which was kept, the last one, is made from."""
    last = pair.mask_seed if pair.attempts == 1 else derive_seed(pair.mask_seed, "attempt", pair.attempts - 1)
    if pair.seed != last:
        yield f"seed is {pair.seed}, and its mask's seed gives attempt {pair.attempts} the seed {last}"


def _origins(pair: Pair, origins: Origins) -> Iterator[str]:
    row = origins.masks.get(pair.pair_index)
    if row is None:
        yield "the masks table has no row of its index"
        return
    columns = {"mask_seed": "seed", "source": "source"} | ({} if pair.mask_kind == ATTENTION else FROM_MASK)
    for ours, theirs in columns.items():
        if getattr(pair, ours) != row[theirs]:
            yield f"{ours} is {getattr(pair, ours)!r}, in the masks table {row[theirs]!r}"
    for path, columns_of_it in _named(pair).items():
        if path not in origins.parents:
            yield f"{' and '.join(columns_of_it)} is '{path}', which is not in the base set of {pair.source}"
    if pair.normal_path is not None and origins.normals.get(pair.normal_path) != pair.normal_sha256:
        yield f"its normal image '{pair.normal_path}' is not the one in the base set"


def _named(pair: Pair) -> dict[str, list[str]]:
    """Return the real defects that a row names, each with the columns that name it."""
    named: dict[str, list[str]] = {}
    for column in OF_BASE:
        if (path := getattr(pair, column)) is not None:
            named.setdefault(path, []).append(column)
    return named
