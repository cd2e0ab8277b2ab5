"""Samples that a table names line by line."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline_tasks.catalog import slug
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.layouts.contents import Contents, File, UnusableError
from pipeline_tasks.layouts.layout import NORMAL_NAMES, IsBlack, Item, Placed
from pipeline_tasks.layouts.raw import RawReject, RawSample
from pipeline_tasks.layouts.reasons import Reason
from pipeline_tasks.schema import GOOD

STRAY = "no line of the table names it"
LONGEST_PATH = 200
"""Characters of a path that are repeated in what is found ..."""
LONGEST_NAME = 64
"""... and of other values."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says: paths relative to the table's folder, names as they are written; '' is missing."""

    number: int
    image: str
    mask: str
    product: str
    defect: str
    split: str
    damage: str = ""


def place_lines(contents: Contents, table: str, lines: Iterable[Line], is_black: IsBlack) -> Placed:
    """Return a sample or a reject for each of the `lines` of `table`, by product, and rejects of unused masks.

    Lines that name no product are under ''. A reject has the path of its line's image; that of the table, if there is
    no image, or if another line accounts for it.
    """
    reader = _Reader(contents, is_black)
    for line in lines:
        reader.read(line)
    return reader.placed(table)


@dataclass(frozen=True, slots=True)
class _Refused:
    """A line that makes no sample, and why; its names as far as they could be read."""

    line: Line
    product: str
    defect: str
    reason: Reason
    found: str


class _Reader:
    """Makes samples of lines. Which file a refused line accounts for is known only when all lines are read."""

    def __init__(self, contents: Contents, is_black: IsBlack) -> None:
        self._contents = contents
        self._is_black = is_black
        self._placed: dict[str, list[Item]] = defaultdict(list)
        self._refused: list[_Refused] = []
        self._spelling: dict[str, str] = {}
        self._images: dict[str, int] = {}
        self._masks: dict[str, int] = {}

    def read(self, line: Line) -> None:
        """Add the line's sample, or keep why there is none."""
        product = defect = ""
        try:
            if line.damage:
                raise UnusableError(Reason.BAD_ENTRY, line.damage)
            product = _name("product", line.product, self._spelling)
            defect = _defect(line.defect, self._spelling)
            self._placed[product].append(self._sample(line, defect))
        except UnusableError as error:
            self._refused.append(_Refused(line, product, defect, error.reason, error.found))

    def placed(self, table: str) -> Placed:
        """Return the samples, a reject for each refused line, and one for each mask that only such lines name."""
        for refused in self._refused:
            number, found = refused.line.number, f": {refused.found}" if refused.found else ""
            reject = RawReject(
                self._account(refused.line, table), refused.defect, refused.reason, f"line {number}{found}"
            )
            self._placed[refused.product].append(reject)
        for refused in self._refused:
            if (mask := self._usable(refused.line.mask)) and self._contents.claim(mask):
                found = f"line {refused.line.number}, which is set aside, has it as a mask"
                reject = RawReject(mask.source_path, refused.defect, Reason.BAD_ENTRY, found)
                self._placed[refused.product].append(reject)
        return self._placed

    def _sample(self, line: Line, defect: str) -> RawSample:
        if line.split.lower() not in ("", "train", "test"):
            raise UnusableError(Reason.BAD_ENTRY, f"split '{line.split[:LONGEST_NAME]}' is neither train nor test")
        image = self._image(line)
        mask = self._mask(line, image) if line.mask else None
        if defect == GOOD and mask and not self._is_black(mask.path):
            raise UnusableError(Reason.BAD_ENTRY, f"'{line.defect}' means normal, but the mask marks something")
        if defect != GOOD and not mask:
            raise UnusableError(Reason.NO_MASK)
        self._images[image.source_path] = line.number
        self._contents.claim(image)
        if mask:
            self._masks[mask.source_path] = line.number
            self._contents.claim(mask)
        held_out = line.split.lower() == "test"
        return RawSample(image.source_path, defect, held_out, image.path, mask.path if mask else None)

    def _image(self, line: Line) -> File:
        """Return a line's image. Raises UnusableError if there is none, or if an earlier sample has it."""
        if not line.image:
            raise UnusableError(Reason.BAD_ENTRY, "no image")
        image = self._contents.find(line.image)
        self._contents.check(image)
        for earlier, use in ((self._images, "names {} already"), (self._masks, "has {} as its mask")):
            if number := earlier.get(image.source_path):
                path = image.source_path[:LONGEST_PATH]
                raise UnusableError(Reason.BAD_ENTRY, f"line {number} {use.format(path)}")
        return image

    def _mask(self, line: Line, image: File) -> File:
        try:
            mask = self._contents.find(line.mask)
            self._contents.check(mask)
        except UnusableError as error:
            found = f"its mask {line.mask[:LONGEST_PATH]}; {error.found}".strip("; ")
            raise UnusableError(error.reason, found) from None
        if mask == image:
            raise UnusableError(Reason.BAD_ENTRY, "the image is its own mask")
        if number := self._images.get(mask.source_path):
            raise UnusableError(Reason.BAD_ENTRY, f"its mask is the image of line {number}")
        return mask

    def _account(self, line: Line, table: str) -> str:
        """Return the path under which a refused line is set aside, that of a file only once."""
        try:
            image = self._contents.find(line.image)
        except UnusableError:
            return line.image[:LONGEST_PATH] or table
        return image.source_path if self._contents.claim(image) else table

    def _usable(self, text: str) -> File | None:
        """Return a mask file; None if there is none, or none that can be used, which is left over with its reason."""
        try:
            file = self._contents.find(text)
            self._contents.check(file)
        except UnusableError:
            return None
        return file


def _defect(text: str, spelling: dict[str, str]) -> str:
    """Return the name of a defect, or GOOD. Raises UnusableError also if only its name would mean normal images."""
    if text.lower() in NORMAL_NAMES:
        return GOOD
    name = _name("defect", text, spelling)
    if name.lower() in NORMAL_NAMES:
        found = f"defect '{text[:LONGEST_NAME]}' would be called '{name}', which means normal images"
        raise UnusableError(Reason.BAD_ENTRY, found)
    return name


def _name(kind: str, text: str, spelling: dict[str, str]) -> str:
    """Return a name made of `text`. Raises UnusableError if there is none, or if another text has taken it."""
    if not text:
        raise UnusableError(Reason.BAD_ENTRY, f"no {kind}")
    try:
        name = slug(text)
    except ConfigError:
        raise UnusableError(Reason.BAD_ENTRY, f"{kind} '{text[:LONGEST_NAME]}' holds no letter or digit") from None
    if (known := spelling.setdefault(f"{kind} {name}", text)) != text:
        raise UnusableError(
            Reason.BAD_ENTRY, f"{kind} '{text[:LONGEST_NAME]}' would be called '{name}', as '{known[:LONGEST_NAME]}' is"
        )
    return name
