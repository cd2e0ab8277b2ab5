"""VERSION on the command line: found in git, or through MLflow, and opened with everything that DVC keeps of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline_tasks.catalog import Catalog
    from pipeline_tasks.lineage.lock import Lock, Output
    from pipeline_tasks.lineage.objects import Objects
    from pipeline_tasks.lineage.snapshot import Snapshot
    from pipeline_tasks.tracking.models import Models, ModelVersion

ALIASES = ("champion", "challenger")
VERSION_HELP = (
    "latest; a number (git tag dataset-N); the version that a report names; champion or challenger (of --product); "
    "models:/NAME/NUMBER or models:/NAME@ALIAS; a git revision"
)
"""What `opened` understands."""
_MODEL = re.compile(r"models:/(?P<name>[A-Za-z0-9_-]+)(?:/(?P<number>[0-9]+)|@(?P<alias>[a-z]+))")


@dataclass(frozen=True)
class Opened:
    """A version at hand: what git keeps of it, and its outputs, wherever DVC has them."""

    snapshot: "Snapshot"
    number: int | None
    objects: "Objects"
    _fetched: Path
    _places: "dict[Output, Path]" = field(default_factory=dict)

    @property
    def version(self) -> str:
        """What its dvc.lock is called."""
        return self.lock.version

    @property
    def revision(self) -> str:
        """The git commit that keeps its lock."""
        return self.snapshot.revision

    @property
    def lock(self) -> "Lock":
        """Its dvc.lock."""
        return self.snapshot.lock

    @property
    def catalog(self) -> "Catalog":
        """The catalog of its time."""
        return self.snapshot.catalog

    @property
    def record(self) -> dict[str, Any] | None:
        """The values of its lineage.json; None for a version that was published without one."""
        from pipeline_tasks.lineage.record import load_record

        return load_record(self.objects, self.snapshot.record) if self.snapshot.record else None

    def path_of(self, output: "Output") -> Path:
        """Return where an output's content lies: in the workspace while it is that, else fetched from DVC.

        It stays there while the version is open. Raises DataError if neither cache nor remote has it.
        """
        from pipeline_tasks.lineage.lock import md5_of

        if output not in self._places:
            place = self.lock.root / output.path
            if md5_of(place) != output.md5:
                place = self._fetched / output.path
                self.objects.fetch(output, place)
            self._places[output] = place
        return self._places[output]


@contextmanager
def opened(asked: str, product: str | None = None) -> "Iterator[Opened]":
    """Open the version called `asked` (VERSION_HELP); `product` says whose alias or number in MLflow is meant.

    Raises DataError or ConfigError if there is none.
    """
    from pipeline_tasks.lineage.objects import stored_objects
    from pipeline_tasks.lineage.releases import release_of

    snapshot, _ = resolve(asked, product)
    release = release_of(snapshot.lock.root, snapshot.lock.version)
    with stored_objects(snapshot.lock.root, cache=True) as objects, TemporaryDirectory(prefix="defectline-") as folder:
        yield Opened(snapshot, release.number if release else None, objects, Path(folder))


def resolve(asked: str, product: str | None = None) -> "tuple[Snapshot, ModelVersion | None]":
    """Return what git keeps of the version called `asked`, and the registered version if it was asked for one.

    Raises as `opened`.
    """
    from pipeline_tasks.lineage.snapshot import snapshot_at
    from pipeline_tasks.lineage.versions import find_revision

    root = Path.cwd()
    registered = _registered(asked, product)
    snapshot = snapshot_at(root, _revision_of(root, registered) if registered else find_revision(root, asked))
    if asked.isdecimal():
        _check_number(asked, snapshot, product)
    return snapshot, registered


def _check_number(number: str, snapshot: "Snapshot", product: str | None) -> None:
    """Raise DataError where MLflow's version of a product's data set with a number is another than git's.

    So it may be where versions were registered that were not published, or published elsewhere. Nothing is checked
    where it is not said whose number is meant, or MLflow does not answer.
    """
    from pipeline_tasks.errors import DataError, PublicationError
    from pipeline_tasks.tracking.datasets import DATASET
    from pipeline_tasks.tracking.models import model_name
    from pipeline_tasks.tracking.run import LOCK_TAG

    products = [product] if product else list(snapshot.catalog.products)
    if len(products) > 1:
        return
    name = model_name(products[0], DATASET)
    with suppress(PublicationError), known_models() as models:
        named = [one.tags.get(LOCK_TAG) for one in (models.versions(name) if models else []) if one.number == number]
        if named and named != [snapshot.lock.version]:
            raise DataError(
                f"version '{number}': in git dataset-{number} is {snapshot.lock.version}, in MLflow {name} version "
                f"{number} is {named[0]}; say which: dataset-{number} or models:/{name}/{number}"
            )


def _registered(asked: str, product: str | None) -> "ModelVersion | None":
    """Return the registered version that is asked for by an alias or as MLflow names it; None for another name."""
    from pipeline_tasks.errors import ConfigError
    from pipeline_tasks.tracking.datasets import DATASET
    from pipeline_tasks.tracking.models import model_name

    named = _MODEL.fullmatch(asked)
    if asked.startswith("models:") and not named:
        raise ConfigError(f"version '{asked}': write models:/NAME/NUMBER or models:/NAME@ALIAS")
    if not named and asked not in ALIASES:
        return None
    name = named["name"] if named else model_name(product or only_product(asked), DATASET)
    number, alias = (named["number"], named["alias"]) if named else (None, asked)
    with known_models() as models:
        if models is None:
            raise ConfigError(f"version '{asked}': no MLflow here to ask; set MLFLOW_TRACKING_URI, or give a number")
        versions = {version.number: version for version in models.versions(name)}
        found = models.by_alias(name, alias) if alias else versions.get(str(number))
    if found is None:
        there = ", ".join(versions) or "none at all"
        raise ConfigError(f"version '{asked}': {name} in MLflow has no {alias or number}; its versions: {there}")
    return found


def only_product(asked: str) -> str:
    """Return the one product of the workspace's catalog. Raises ConfigError if there are several."""
    from pipeline_tasks.catalog import load_catalog
    from pipeline_tasks.errors import ConfigError

    products = list(load_catalog().products)
    if len(products) > 1:
        raise ConfigError(f"version '{asked}': whose? there are {', '.join(products)}; name one with --product")
    return products[0]


@contextmanager
def known_models() -> "Iterator[Models | None]":
    """Yield the registered models of MLflow; None where it has never been used here, which makes no database."""
    from pipeline_tasks.commands.mlflow_store import FOLDER, mlflow_store
    from pipeline_tasks.tracking.models import Models
    from pipeline_tasks.tracking.store import client_of

    uri, own_files = mlflow_store()
    if own_files and not (FOLDER / "mlflow.db").is_file():
        yield None
        return
    with client_of(uri) as client:
        yield Models(client, uri)


def _revision_of(root: Path, registered: "ModelVersion") -> str:
    """Return the git revision that keeps the lock of a registered version.

    Raises DataError for a model that was made of no data set, or whose lock git does not keep.
    """
    from pipeline_tasks.errors import DataError
    from pipeline_tasks.lineage.releases import release_of
    from pipeline_tasks.tracking.datasets import GIT_TAG
    from pipeline_tasks.tracking.run import LOCK_TAG

    name, version = f"{registered.model} version {registered.number}", registered.tags.get(LOCK_TAG)
    if not version:
        raise DataError(f"{name}: it was made of no data set version (real images alone), so it has no chain to follow")
    if release := release_of(root, version):
        return release.revision
    if not (revision := registered.tags.get(GIT_TAG)):
        raise DataError(f"{name}: git has no tag of its data set, version {version}; `git fetch --tags` gets tags")
    return revision
