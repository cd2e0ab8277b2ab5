"""Writers of a version's pairs in the formats that people train on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.exports import coco, hf, mvtec, png, yolo
from pipeline_tasks.exports.content import Content
from pipeline_tasks.exports.folder import Folder, check_free, new_folder
from pipeline_tasks.exports.libraries import library

CARD = "README.md"


@dataclass(frozen=True)
class Format:
    """One format.

    write: writes the files. reading: what those who read them should know, Markdown. card: returns a card with what the
    format wants in it. needs: the library that writes it, if any.
    """

    write: Callable[[Content, Folder], None]
    reading: str
    card: Callable[[str], str] = str
    needs: str = ""


FORMATS: Mapping[str, Format] = {
    "mvtec": Format(mvtec.write, mvtec.READING),
    "coco": Format(coco.write, coco.READING, needs=coco.LIBRARY),
    "yolo": Format(yolo.write, yolo.READING),
    "hf": Format(hf.write, hf.READING, hf.front_matter, needs=hf.LIBRARY),
    "png": Format(png.write, png.READING),
}


def check(name: str, out: Path) -> Format:
    """Return the format called `name`.

    Raises ConfigError if there is none, or its library is not installed, or `out` is there and not an empty folder.
    """
    if name not in FORMATS:
        raise ConfigError(f"--format {name}: no such format; there are {', '.join(FORMATS)}")
    if FORMATS[name].needs:
        library(FORMATS[name].needs)
    check_free(out)
    return FORMATS[name]


def export(name: str, content: Content, card: str, out: Path) -> None:
    """Write `content` in the format `name` into the new folder `out`, with its checksums and its `card` (Markdown).

    `out` holds all of it or is not touched; memory does not grow with the number of pairs. Raises what `check` raises,
    DataError or SchemaError for a table that cannot be read, StorageError if the operating system refuses.
    """
    chosen = check(name, out)
    text = f"{card.rstrip()}\n\n## These files\n\n{chosen.reading}\n"
    with new_folder(out) as folder:
        chosen.write(content, folder)
        folder.write(CARD, chosen.card(text).encode())
