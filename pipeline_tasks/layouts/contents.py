"""What a folder holds: walked once; every file is handed to a reader or left over, with the reason."""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline_tasks.layouts.raw import IMAGE_SUFFIXES, RawReject
from pipeline_tasks.layouts.reasons import Reason

DOCUMENTS = frozenset(
    {".txt", ".md", ".rst", ".pdf", ".csv", ".json", ".xml", ".yaml", ".yml", ".html", ".htm"}
    | {".doc", ".docx", ".xls", ".xlsx"}
)
"""Suffixes of what describes a data set; archives are none, for they may hold images."""
PAPERS = frozenset({"LICENSE", "LICENCE", "README", "CHECKSUMS", "MD5SUMS", "SHA256SUMS"})
"""Whole names of such files, in capitals."""
OTHER_PICTURES = frozenset(
    {".webp", ".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".jfif", ".svg", ".psd", ".tga", ".exr", ".dcm"}
    | {".pbm", ".pgm", ".ppm", ".pnm", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw"}
)
"""Suffixes of pictures that are not read."""


@dataclass(frozen=True, slots=True)
class File:
    """One image file. `source_path` is its path below the folder, with bytes that are no UTF-8 escaped."""

    source_path: str
    path: Path

    @property
    def stem(self) -> str:
        """The file's name without its last suffix."""
        return self.path.stem

    @property
    def suffix(self) -> str:
        """The file's last suffix, in lower case."""
        return self.path.suffix.lower()


class UnusableError(Exception):
    """Why a file, or the line that names it, is set aside."""

    def __init__(self, reason: Reason, found: str = "") -> None:
        super().__init__(found)
        self.reason = reason
        self.found = found


class Contents:
    """The files below a folder. Nothing is opened. Hidden ones, and DOCUMENTS and PAPERS in the top, are passed over.

    Links are followed where they lead to something inside the folder, to a folder only once.
    """

    def __init__(self, folder: Path) -> None:
        """Walk through `folder`."""
        self.folder = folder
        self._roots = Path(os.path.normpath(folder.absolute())), Path(os.path.realpath(folder))
        self._files: dict[str, File] = {}
        self._unusable: dict[str, UnusableError] = {}
        self._name_of: dict[str, str] = {}
        self._taken: set[str] = set()
        self._in_folder: dict[str, list[str]] = defaultdict(list)
        for path, trouble in _walk(folder):
            name = path.relative_to(folder).as_posix()
            self._in_folder[_parent(name)].append(name)
            self._files[name] = File(_readable(name), path)
            self._name_of.setdefault(_readable(name), name)
            if trouble:
                self._unusable[name] = trouble

    def subfolders(self, below: str = "") -> list[str]:
        """Return the names of the folders right below `below` ('' = the top) that hold files, sorted."""
        depth = len(PurePosixPath(below).parts)
        parts = [PurePosixPath(folder).parts for folder in self._in_folder]
        inside = [p for p in parts if len(p) > depth and p[:depth] == PurePosixPath(below).parts]
        return sorted({p[depth] for p in inside})

    def take(self, folder: str) -> list[File]:
        """Hand out the usable image files right in `folder` ('' = the top), sorted: the reader accounts for them."""
        names = [n for n in sorted(self._in_folder.get(folder, [])) if n not in self._unusable]
        images = [n for n in names if self._files[n].suffix in IMAGE_SUFFIXES]
        self._taken.update(images)
        return [self._files[name] for name in images]

    def find(self, text: str) -> File:
        """Return the file, usable or not, at a path relative to the folder, or absolute and inside it.

        Raises UnusableError if there is none.
        """
        name = self._name_of.get(self._relative(text))
        if name is None:
            raise UnusableError(Reason.MISSING)
        return self._files[name]

    def check(self, file: File) -> None:
        """Raise UnusableError if a file that `find` returned is no image file, or cannot be used."""
        if trouble := self._unusable.get(self._name_of[file.source_path]):
            raise UnusableError(trouble.reason, trouble.found)
        if file.suffix not in IMAGE_SUFFIXES:
            raise UnusableError(Reason.NOT_AN_IMAGE, _no_image(file))

    def claim(self, file: File) -> bool:
        """Account for a file that `find` returned; False if it is accounted for already."""
        name = self._name_of[file.source_path]
        free = name not in self._taken
        self._taken.add(name)
        return free

    def pass_over(self, name: str) -> None:
        """Account for a document that belongs to the layout itself; `name` is its path below the folder."""
        self._taken.add(name)

    def left(self, stray: str = "") -> Iterator[RawReject]:
        """Yield a reject for each file that was not handed out; `stray` is what is found about a misplaced image."""
        for name in sorted(set(self._files) - self._taken):
            file, trouble = self._files[name], self._unusable.get(name)
            if trouble:
                yield RawReject(file.source_path, "", trouble.reason, trouble.found)
            elif file.suffix in IMAGE_SUFFIXES:
                yield RawReject(file.source_path, "", Reason.MISPLACED, stray)
            elif _parent(name) or not _is_document(file):
                yield RawReject(file.source_path, "", Reason.NOT_AN_IMAGE, _no_image(file))

    def _relative(self, text: str) -> str:
        """Return a path as text relative to the folder. Raises UnusableError if it leads out of it."""
        path = Path(os.path.normpath(self._roots[0] / text))
        for root in self._roots:
            if path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        raise UnusableError(Reason.OUTSIDE)


def files_in(folder: Path, suffixes: Set[str] = IMAGE_SUFFIXES) -> list[File]:
    """Return the files right in `folder` that have one of `suffixes`, for a first look; none if it cannot be read."""
    files = [File(entry.name, Path(entry.path)) for entry in _entries(folder)]
    return [file for file in files if file.suffix in suffixes]


def folders_in(folder: Path) -> list[str]:
    """Return the names of the folders right in `folder`, sorted; none if it cannot be read."""
    return [entry.name for entry in _entries(folder) if Path(entry).is_dir()]


def is_file_inside(path: Path, folder: Path) -> bool:
    """Tell whether `path` is a regular file, and no link that leads out of `folder`."""
    return path.is_file() and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return _shown(folder)
    except OSError:
        return []


def _shown(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)


def _walk(folder: Path) -> Iterator[tuple[Path, UnusableError | None]]:
    """Yield what lies below `folder` except folders that can be entered, each with what makes it unusable, if anything.

    Not recursive: folders may be nested more deeply than Python's stack.
    """
    root, ahead, followed = Path(os.path.realpath(folder)), [folder], set[Path]()
    while ahead:
        here = ahead.pop()
        try:
            entries = _shown(here)
        except OSError as error:
            yield here, UnusableError(Reason.NOT_AN_IMAGE, f"a folder that cannot be read: {error.strerror}")
            continue
        for entry in entries:
            path = Path(entry.path)
            try:
                if _is_folder(path, root, followed):
                    ahead.append(path)
                else:
                    yield path, None
            except UnusableError as trouble:
                yield path, trouble


def _is_folder(path: Path, root: Path, followed: set[Path]) -> bool:
    """Tell a folder to enter from a file. Raises UnusableError for what is neither, and for a link not to follow."""
    try:
        target = _target(path, root) if path.is_symlink() else path
        mode = target.stat().st_mode
    except OSError as error:
        raise UnusableError(Reason.NOT_AN_IMAGE, f"cannot be opened: {error.strerror}") from None
    if stat.S_ISREG(mode):
        return False
    if not stat.S_ISDIR(mode):
        raise UnusableError(Reason.NOT_AN_IMAGE, "no regular file, but a pipe, a socket or a device")
    if target is not path:
        if target in followed or Path(os.path.realpath(path.parent)).is_relative_to(target):
            raise UnusableError(Reason.DUPLICATE, "a link to a folder that is read already")
        followed.add(target)
    return True


def _target(link: Path, root: Path) -> Path:
    """Return what a link leads to. Raises UnusableError if that is nothing, or not below `root`."""
    try:
        target = Path(os.path.realpath(link, strict=True))
    except FileNotFoundError:
        raise UnusableError(Reason.MISSING, "a link to nothing") from None
    except OSError as error:
        raise UnusableError(Reason.OUTSIDE, f"a link that cannot be followed: {error.strerror}") from None
    if not target.is_relative_to(root):
        raise UnusableError(Reason.OUTSIDE, "a link out of it")
    return target


def _is_document(file: File) -> bool:
    """Tell a document by its name; x.jpg.html is none, but an image that was not fetched."""
    pictures = {suffix.lower() for suffix in file.path.suffixes} & (IMAGE_SUFFIXES | OTHER_PICTURES)
    return (file.suffix in DOCUMENTS or file.path.name.upper() in PAPERS) and not pictures


def _no_image(file: File) -> str:
    """Return what is found about a file that is no image; nothing where its name says so."""
    return f"a {file.suffix} file; PNG, JPEG, BMP and TIFF are read" if file.suffix in OTHER_PICTURES else ""


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _readable(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")
