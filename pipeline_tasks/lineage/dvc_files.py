"""Files that DVC keeps, named so that anybody can fetch exactly these: by path, git revision, digest and repository.

As a URI: dvc://PATH?rev=COMMIT&md5=MD5&repo=REPOSITORY, each part percent-encoded. PATH is below the repository's root,
MD5 is DVC's ('….dir' for a folder), REPOSITORY is a URL of git's, or a folder's file:// URI. COMMIT is "" outside git.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from pipeline_tasks.errors import ConfigError, DefectlineError, TransientError
from pipeline_tasks.lineage.dvc_command import errors_in, run_dvc
from pipeline_tasks.lineage.git import answer
from pipeline_tasks.lineage.lock import Output, md5_of
from pipeline_tasks.lineage.objects import stored_objects

SCHEME = "dvc"
_FORMS = {
    "rev": re.compile(r"[0-9a-f]{40,64}|"),
    "md5": re.compile(r"[0-9a-f]{32}(\.dir)?"),
    "repo": re.compile(r"(?s:file:///.+)|(https?|ssh|git)://\S+|[\w.]+@[\w.-]+:\S+"),
}


@dataclass(frozen=True)
class DvcFiles:
    """An output that DVC keeps, see the module; `revision` is the git commit whose dvc.lock should name it."""

    path: str
    revision: str
    md5: str
    repository: str

    @property
    def uri(self) -> str:
        """The dvc:// URI of the files."""
        query = {"rev": self.revision, "md5": self.md5, "repo": self.repository}
        return f"{SCHEME}://{quote(self.path)}?{urlencode(query, quote_via=quote, safe='/:@')}"

    @classmethod
    def parse(cls, uri: str) -> "DvcFiles":
        """Return what a URI names. Raises ConfigError saying which part of it is not as it should be."""
        scheme, _, rest = uri.partition("://")
        encoded, _, query = rest.partition("?")
        path, given = unquote(encoded), parse_qs(query, keep_blank_values=True)
        values = {key: given.get(key, ["(none)"])[0] for key in _FORMS}
        wrong = [f"{key} is '{values[key]}'" for key, form in _FORMS.items() if not form.fullmatch(values[key])]
        if scheme != SCHEME or not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            wrong.insert(0, f"its path is '{path}'")
        if wrong:
            raise ConfigError(f"{uri}: {', '.join(wrong)}; write dvc://PATH?rev=COMMIT&md5=MD5&repo=REPOSITORY")
        return cls(path, values["rev"], values["md5"], values["repo"])

    def fetch(self, folder: Path) -> Path:
        """Bring the files into `folder`, under the last name of their path, and return where they are, verified.

        They come from the current repository if its git has the revision, else from the one that is named. Raises
        ConfigError if something else is in their place, TransientError, naming the digest, if neither has them.
        """
        target = folder / PurePosixPath(self.path).name
        if target.exists():
            if md5_of(target) == self.md5:
                return target
            raise ConfigError(f"{target}: is there already, and not what {self.md5} names; give another folder")
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".dvc-") as place:
            self._bring(Path(place) / target.name)
            (Path(place) / target.name).replace(target)
        return target

    def _bring(self, target: Path) -> None:
        problems = []
        for number, way in enumerate(self._ways()):
            attempt = target.with_name(f"{number}")
            try:
                way(attempt)
            except DefectlineError as error:
                problems.append(str(error))
                continue
            if (found := md5_of(attempt)) == self.md5:
                attempt.replace(target)
                return
            problems.append(f"{self.repository} at {self.revision[:12]} has another content there, {found}")
        told = "; ".join(dict.fromkeys(problems))
        raise TransientError(
            f"{self.path}: DVC has nothing with the MD5 {self.md5} ({told}); bring DVC's cache or remote back, or run "
            "this in a clone whose remote has it"
        )

    def _ways(self) -> Iterator[Callable[[Path], None]]:
        """Yield what brings the files to a path, each a repository's way."""
        here, local = _repository_around(Path.cwd()), _folder_of(self.repository)
        if here and self.revision and answer(here, "cat-file", "-t", self.revision) == "commit":
            yield partial(self._from_objects, here)
        if local and (local / ".dvc").is_dir():
            yield partial(self._from_objects, local)
        else:
            yield partial(self._from_afar, str(local or self.repository))

    def _from_objects(self, root: Path, target: Path) -> None:
        with stored_objects(root, cache=True) as objects:
            objects.fetch(Output(Path(self.path), self.md5), target)

    def _from_afar(self, repository: str, target: Path) -> None:
        revision = ["--rev", self.revision] if self.revision else []
        got = run_dvc(target.parent, "get", repository, self.path, *revision, "--out", str(target))
        if got.returncode:
            raise TransientError(f"`dvc get {repository}` failed: {errors_in(got.stderr)}")


def repository_of(root: Path) -> str:
    """Return how others name the git repository at `root`: the URL of `origin`, without credentials, or its folder."""
    origin = answer(root, "remote", "get-url", "origin")
    if not origin or not _FORMS["repo"].fullmatch(origin):
        return (root / (origin or "")).resolve().as_uri()
    if urlsplit(origin).scheme in ("ssh", ""):
        return re.sub(r"(://[^/:@]*):[^/@]*@", r"\1@", origin)  # ssh's user is a part of the address
    return re.sub(r"://[^/@]*@", "://", origin).partition("?")[0]


def _repository_around(folder: Path) -> Path | None:
    """Return the nearest folder, from `folder` upwards, that is the root of a DVC repository."""
    return next((each for each in [folder, *folder.parents] if (each / ".dvc").is_dir()), None)


def _folder_of(repository: str) -> Path | None:
    parts = urlsplit(repository)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
