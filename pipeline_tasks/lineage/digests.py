"""DVC's digests of data by their paths, from the entries of dvc.lock alone: nothing need be in the workspace."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline_tasks.lineage.lock import digest_of_listing
from pipeline_tasks.lineage.objects import Objects


@dataclass(frozen=True)
class Digests:
    """The digests of outputs by path, and of what is in them or around them."""

    outputs: Mapping[PurePosixPath, str]
    objects: Objects

    def of(self, path: PurePosixPath) -> str | None:
        """Return the digest of an output, of something in one, or of a folder of several; None where there is none.

        Raises DataError if the list of files in an output cannot be had.
        """
        if path in self.outputs:
            return self.outputs[path]
        if holder := next((parent for parent in path.parents if parent in self.outputs), None):
            return self._inside(holder, path.relative_to(holder).as_posix())
        if within := [output for output in self.outputs if path in output.parents]:
            return digest_of_listing({file: md5 for output in within for file, md5 in self._below(path, output)})
        return None

    def _inside(self, output: PurePosixPath, name: str) -> str | None:
        files = self._files(output)
        if name in files:
            return files[name]
        below = {file.removeprefix(f"{name}/"): md5 for file, md5 in files.items() if file.startswith(f"{name}/")}
        return digest_of_listing(below) if below else None

    def _below(self, folder: PurePosixPath, output: PurePosixPath) -> Iterator[tuple[str, str]]:
        for name, md5 in self._files(output).items():
            yield (output / name).relative_to(folder).as_posix(), md5

    def _files(self, output: PurePosixPath) -> dict[str, str]:
        return self.objects.files(self.outputs[output])
