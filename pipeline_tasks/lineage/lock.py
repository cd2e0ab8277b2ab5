"""dvc.lock as the name of a version: which data each stage of the present catalog made, by content."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import PublicationError
from pipeline_tasks.lineage.files import SPLITS
from pipeline_tasks.lineage.lock_file import LOADER
from pipeline_tasks.storage import PARTIAL

DIRECTORY = ".dir"
"""How DVC's digest of a folder ends: that of the list of its files."""


@dataclass(frozen=True)
class Output:
    """One output of a stage: its path below the repository and DVC's MD5 of its content ('….dir' for folders).

    cached: DVC keeps its content; otherwise git does.
    """

    path: Path
    md5: str
    cached: bool = True

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.md5.endswith(DIRECTORY)


@dataclass(frozen=True)
class Lock:
    """The entries of dvc.lock that belong to the present catalog."""

    root: Path
    stages: Mapping[str, Any]

    @property
    def version(self) -> str:
        """The first 12 hex digits of the entries' SHA-256: equal for equal data, parameters and commands."""
        return hashlib.sha256(json.dumps(self.stages, sort_keys=True).encode()).hexdigest()[:12]

    def output(self, stage: str, pattern: str = "*") -> Output:
        """Return a stage's output whose path ends as the glob `pattern` says, or its only one.

        Raises PublicationError if dvc.lock has no such output.
        """
        found = [out for out in self.outputs(stage) if out.path.match(pattern)]
        if len(found) != 1:
            raise PublicationError(
                f"dvc.lock: no output '{pattern}' of stage {stage}; run `dvc repro`, then register again"
            )
        return found[0]

    def outputs(self, stage: str) -> list[Output]:
        """Return every output of a stage; none of one that the lock does not have."""
        return [
            Output(path := Path(out["path"]), out["md5"], path.parts[0] != SPLITS)
            for out in self.stages.get(stage, {}).get("outs", [])
        ]

    def check_workspace(self, stages: Collection[str] | None = None) -> None:
        """Check that the outputs in the workspace, all or those of `stages`, are the lock's.

        Raises PublicationError naming the others.
        """
        entries = (entry for name, entry in self.stages.items() if stages is None or name in stages)
        outs = [out for entry in entries for out in entry.get("outs", [])]
        differing = [out["path"] for out in outs if md5_of(self.root / out["path"]) != out["md5"]]
        if differing:
            raise PublicationError(
                f"{len(differing)} outputs are not those of dvc.lock: {', '.join(differing)}; "
                "run `dvc repro` to make them or `dvc pull` to fetch them, then this again"
            )


def load_lock(root: Path, catalog: Catalog) -> Lock:
    """Read dvc.lock, leaving out what belongs to products and defects that the catalog no longer has.

    Raises PublicationError if there is none.
    """
    try:
        return parse_lock(root, (root / "dvc.lock").read_text(), catalog)
    except FileNotFoundError as error:
        raise PublicationError(f"{root / 'dvc.lock'}: missing, nothing to register; run `dvc repro` first") from error


def parse_lock(root: Path, text: str, catalog: Catalog) -> Lock:
    """Return what the `text` of a dvc.lock says, as `load_lock` does."""
    stages = yaml.load(text, Loader=LOADER)["stages"]  # noqa: S506 - a SafeLoader
    items = {*catalog.products, *catalog.generators, *catalog.defects, *catalog.parts}
    return Lock(root, {name: entry for name, entry in stages.items() if "@" not in name or name.split("@")[1] in items})


def _counts(file: Path) -> bool:
    """Tell whether DVC counts a file: not what .dvcignore names, the leftovers of killed writes."""
    return file.is_file() and file.suffix != PARTIAL


def md5_of(path: Path) -> str | None:
    """Return DVC's MD5 of a file or folder; None if there is none."""
    if path.is_dir():
        files = (file for file in path.rglob("*") if _counts(file))
        return digest_of_listing({file.relative_to(path).as_posix(): str(md5_of(file)) for file in files})
    if not path.exists():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def digest_of_listing(files: Mapping[str, str]) -> str:
    """Return DVC's MD5 of a folder: that of the list of its files, their MD5s by their paths in it."""
    listing = [{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + DIRECTORY
