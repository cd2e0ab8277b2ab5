"""Runs of the pipeline beside the repository: DVC workspaces of their own, on its code and its cache."""

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.dvc_command import start_dvc
from pipeline_tasks.lineage.files import CODE, replace_text
from pipeline_tasks.lineage.prune import prune
from pipeline_tasks.lineage.repro import LINES_KEPT, failure_of, stopped_together
from pipeline_tasks.lineage.stopwatch import BEGUN, Stopwatch
from pipeline_tasks.params import Params
from pipeline_tasks.schema import GOOD, Pair, Sample
from pipeline_tasks.storage import open_table, read_json, sample_files
from pipeline_tasks.yaml_files import to_yaml

COPIED = ("dvc.yaml", ".dvcignore")
RESULTS = {"choose": "data/choice/{}.json", "evaluate": "data/evaluation/{}.json"}
"""Where dvc.yaml's stages leave what they find about a product."""


@dataclass(frozen=True)
class SideWorkspace:
    """A DVC workspace without git in `home`, on the code and the cache of the repository at `root`."""

    root: Path
    home: Path

    def prepare(self, catalog: Catalog) -> None:
        """Make it, or bring it up to date with the repository. Raises ConfigError if `root` is no DVC repository."""
        _replace(self.home / ".dvc" / "config", _config(self.root))
        for name in COPIED:
            _replace(self.home / name, (self.root / name).read_text())
        if not (self.home / CODE).is_symlink():
            (self.home / CODE).symlink_to(self.root / CODE, target_is_directory=True)
        _replace(self.home / "catalog.yaml", catalog.to_yaml())

    def reproduce(self, params: Params, targets: Sequence[str], timed: bool) -> dict[str, float | None]:
        """Run the stages up to `targets` with `params`, passing all output on; return the seconds that they took.

        What is up to date is not run again, nor what was run anywhere with the same inputs; where it is `timed`, all
        that is new here runs. Seconds: see Stopwatch, of all calls with the same parameters. Raises as
        `reproduce_stage` does.
        """
        text = to_yaml(_rooted(params.model_dump(by_alias=True, mode="json"), self.root))
        _replace(self.home / "params.yaml", text)
        prune(self.home)
        watch = Stopwatch.of(self.home / "seconds.json", hashlib.sha256(text.encode()).hexdigest()[:16])
        self._run(["--no-run-cache"] if timed and not watch.complete else [], targets, watch)
        watch.done()
        return watch.seconds

    def _run(self, options: Sequence[str], targets: Sequence[str], watch: Stopwatch) -> None:
        stage, told = "repro", deque[str](maxlen=LINES_KEPT)
        with start_dvc(self.home, "repro", *options, *targets) as dvc, stopped_together(dvc):
            for line in dvc.stdout or ():
                print(line, end="", flush=True)
                begun = BEGUN.match(line)
                stage = begun[1] if begun else stage
                told.append(line.strip())
                watch.hear(line)
        if dvc.returncode:
            raise failure_of(stage, list(told), dvc.returncode)

    def result(self, stage: str, product: str) -> dict[str, Any]:
        """Return what `choose` or `evaluate` found. Raises DataError if there is nothing."""
        found: dict[str, Any] = read_json(self.home / RESULTS[stage].format(product))
        return found

    def base_images(self, product: str) -> int:
        """Return how many real defect images are base."""
        tables = sample_files(self.home / "data" / "base" / product)
        return sum(_rows(table, Sample) for table in tables if table.stem != GOOD)

    def pairs_made(self, product: str) -> dict[str, int]:
        """Return how many pairs of each defect there are."""
        folders = sorted(path for path in (self.home / "data" / "pairs" / product).glob("*") if path.is_dir())
        return {folder.name: sum(_rows(shard, Pair) for shard in folder.glob("*.parquet")) for folder in folders}


def one_product(catalog: Catalog, product: str) -> Catalog:
    """Return the catalog of a product with a generator of its own."""
    maker = catalog.generator_of(product)
    defects = {key: item for key, item in catalog.defects.items() if item.product == product}
    return Catalog(
        products={product: catalog.products[product]},
        generators={maker: catalog.generators[maker]},
        defects=defects,
    )


def _config(root: Path) -> str:
    """Return the DVC configuration of a workspace that keeps its data where the repository does."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            cache, links = repo.cache.local.path, repo.config["cache"].get("type")
    except NotDvcRepoError as error:
        raise ConfigError(f"{root}: no DVC repository; run defectline in the folder that holds dvc.yaml") from error
    kinds = f"    type = {links if isinstance(links, str) else ','.join(links)}\n" if links else ""
    core = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
    return f'{core}[cache]\n    dir = "{cache}"\n{kinds}'


def _replace(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        replace_text(path, text)


def _rooted(value: Any, root: Path) -> Any:
    """Return parameters in which paths that are relative to the repository lead there from anywhere."""
    if isinstance(value, dict):
        return {key: _rooted(inner, root) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rooted(inner, root) for inner in value]
    is_path = isinstance(value, str) and "/" in value and (root / value).exists()
    return str((root / value).resolve()) if is_path else value


def _rows(table: Path, row: type[Sample] | type[Pair]) -> int:
    with open_table(table, row) as opened:
        return int(opened.metadata.num_rows)
