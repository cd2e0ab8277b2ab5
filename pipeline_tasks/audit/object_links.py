"""The remote: whether it holds every object of a version, and every byte is what its digest says."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from pipeline_tasks.audit.chain import RESTORE, Link, some
from pipeline_tasks.lineage.lock import Lock, Output
from pipeline_tasks.lineage.objects import DamagedObjectError, MissingObjectError, Objects

AT_ONCE = 8
"""Objects read at the same time."""


@dataclass(frozen=True)
class Read:
    """What was read of an output: its files and bytes, and what is wrong with each faulty one."""

    files: int
    size: int
    faults: list[str]


def outputs_of(lock: Lock) -> dict[str, Output]:
    """Return the outputs of a version that DVC keeps, by their paths; git keeps the others."""
    return {output.path.as_posix(): output for stage in lock.stages for output in lock.outputs(stage) if output.cached}


def object_links(objects: Objects, outputs: dict[str, Output]) -> Iterator[Link]:
    """Yield a link for each output, by its path. Every object is read once."""
    seen: dict[str, str | int] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for path, output in outputs.items():
            yield _link(f"objects of {path}", objects, _read(objects, output, seen, pool))


def _read(objects: Objects, output: Output, seen: dict[str, str | int], pool: ThreadPoolExecutor) -> Read:
    try:
        files = objects.files(output.md5)
    except (MissingObjectError, DamagedObjectError) as error:
        return Read(0, 0, [f"its list of files: {error}" if output.is_folder else str(error)])
    fresh = [md5 for md5 in dict.fromkeys(files.values()) if md5 not in seen]
    seen.update(zip(fresh, pool.map(partial(_size_or_fault, objects), fresh), strict=True))
    found = {name: seen[md5] for name, md5 in files.items()}
    size = sum(value for value in found.values() if isinstance(value, int))
    faults = [f"{name}: {value}" for name, value in found.items() if isinstance(value, str)]
    return Read(len(files), size, faults)


def _size_or_fault(objects: Objects, md5: str) -> int | str:
    """Return an object's size in bytes, or what is wrong with it."""
    try:
        return sum(map(len, objects.chunks(md5)))
    except (MissingObjectError, DamagedObjectError) as error:
        return str(error)


def _link(name: str, objects: Objects, read: Read) -> Link:
    if not read.faults:
        found = f"{read.files} files, {read.size / 1e6:.1f} MB, every digest verified in {objects.name}"
        return Link(name, "ok", found)
    return Link(name, "broken", some(read.faults), RESTORE)
