"""What a layout is: how its folders are known, and how its files become samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_tasks.catalog import slug
from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts.contents import Contents
from pipeline_tasks.layouts.raw import RawReject, RawSample
from pipeline_tasks.schema import GOOD

if TYPE_CHECKING:
    from pipeline_tasks.params import Ingest

DEFECT = "defect"
"""Name of the defects that a data set does not tell apart."""
NORMAL_NAMES = frozenset({GOOD, "normal", "ok"})
"""What data sets call normal images, in lower case."""
Item = RawSample | RawReject
IsBlack = Callable[[Path], bool]
"""Tells whether a mask marks nothing; a mask that cannot be read marks something, ingest will look at it."""
Placed = Mapping[str, Sequence[Item]]
"""Items by product; under '' those of no product, or of the only one of a folder that is one product."""


@dataclass(frozen=True)
class Survey:
    """What a product offers, by the names of its files alone."""

    defects: list[str]
    """Names of the defects of which at least one image has a mask, sorted."""
    notes: list[str]
    """A sentence for each defect that cannot be used."""


@dataclass(frozen=True)
class Layout:
    """One way in which data sets lie in a folder."""

    name: str
    expected: str
    """What such a folder holds, for messages."""
    matches: Callable[[Path], bool]
    """Tells at a glance whether a folder is in this layout."""
    place: Callable[[Contents, IsBlack], Placed]
    """Takes the layout's files from the contents and says what they are."""
    stray: str = ""
    """What there is to say about an image that the layout does not place."""

    def survey(self, folder: Path) -> dict[str, Survey]:
        """Return what each product in `folder` offers, by name; one product is called as the folder is."""
        placed = self.place(Contents(folder), lambda _: False)
        return {name or slug(folder.resolve().name): _survey(placed[name]) for name in _names(placed) or [""]}

    def defects(self, folder: Path, product: str) -> list[str]:
        """Return the names of a product's defects, sorted. Errors: see `read`."""
        placed = self.place(Contents(folder), lambda _: False)
        return _survey(self._own(placed, folder, product)).defects

    def read(self, folder: Path, product: str, limits: "Ingest") -> list[Item]:
        """Return every file below `folder` as a sample of `product`, as its mask, or as a reject.

        Defects come in order of name, each together, normal images last; what is held out follows the rest. Of several
        products in one folder, the first with a defect accounts for what belongs to none. `limits` are for masks that
        must be looked at. Raises DataError if the folder does not hold `product`.
        """
        contents = Contents(folder)
        placed = self.place(contents, partial(_is_black, limits))
        items = list(self._own(placed, folder, product))
        names = _names(placed)
        if not names:
            items += contents.left(self.stray)
        elif product == next((name for name in names if _survey(placed[name]).defects), names[0]):
            items += [*placed.get("", []), *contents.left(self.stray)]
        return sorted(items, key=_order)

    def _own(self, placed: Placed, folder: Path, product: str) -> Sequence[Item]:
        names = _names(placed)
        if names and product not in names:
            raise DataError(
                f"{folder}: holds no product '{product}', but {', '.join(names)}; run `defectline catalog` again"
            )
        return placed.get(product if names else "", [])


def _names(placed: Placed) -> list[str]:
    return sorted(name for name in placed if name)


def _survey(items: Sequence[Item]) -> Survey:
    usable = {item.defect for item in items if isinstance(item, RawSample)} - {GOOD}
    unusable = {item.defect for item in items} - usable - {GOOD, ""}
    return Survey(sorted(usable), [f"defect '{d}' is left out: no image of it has a mask" for d in sorted(unusable)])


def _order(item: Item) -> tuple[bool, str, bool, str]:
    held_out = isinstance(item, RawSample) and item.held_out
    return item.defect == GOOD, item.defect, held_out, item.source_path


def _is_black(limits: "Ingest", mask: Path) -> bool:
    from pipeline_tasks.images.codec import read_file, read_mask

    try:
        return not read_mask(read_file(mask, limits), limits).any()
    except (DataError, OSError):
        return False
