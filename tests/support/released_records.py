"""Releases of a small git and DVC repository: a lock and a lineage.json as a test writes them, tagged as published."""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from kept_versions import REPOSITORY, dvc, git
from rows import digest

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.lineage.lock import load_lock, md5_of
from pipeline_tasks.lineage.releases import Release, number_for, releases, tag_message

ITEM = {"generator": "shared", "prompts": "data/prompts"}
CATALOG: dict[str, Any] = {
    "products": {name: {"path": f"raw/{name}", "layout": "mvtec"} for name in ("plate", "tile", "bolt")},
    "generators": {name: {"base": "data/base", "prompts": "data/prompts"} for name in ("shared", "bolt")},
    "defects": {
        "plate-pit": {"product": "plate", "source": "plate", "defect": "pit", **ITEM},
        "plate-stain": {"product": "plate", "source": "plate", "defect": "stain", **ITEM},
        "tile-pit": {"product": "tile", "source": "plate", "defect": "pit", **ITEM},
        "bolt-dent": {"product": "bolt", "source": "bolt", "defect": "dent", **ITEM, "generator": "bolt"},
    },
}


def row(path: str, split: str = "base", **values: Any) -> dict[str, Any]:
    """Return a sample of lineage.json, its defect the folder that it is in."""
    defect = path.split("/")[1]
    blank = {"group": None, "derived_from": None}
    return {"source_path": path, "sha256": digest(path), "defect": defect, "split": split, **blank, **values}


def made(source: str, parents: dict[str, int], normals: dict[str, int], pairs: int = 5) -> dict[str, Any]:
    """Return a defect of lineage.json."""
    blank = {"digest": "d" * 32, "rows_sha256": digest("rows")}
    return {"source": source, "pairs": pairs, "parents": parents, "normals": normals, **blank}


def product(samples: list[dict[str, Any]], defects: dict[str, Any], generator: str = "shared") -> dict[str, Any]:
    """Return a product of lineage.json."""
    return {"generator": generator, "samples": samples, "defects": defects}


def make_release_repository(root: Path) -> Path:
    """Make the repository, which has no release yet."""
    (root / ".dvc").mkdir(parents=True)
    for name in ("config", ".gitignore"):
        shutil.copy(REPOSITORY / ".dvc" / name, root / ".dvc")
    (root / ".gitignore").write_text("/data/\n/.remote/\n/.mlflow/\n/.work/\n/lineage.json\n")
    git(root, "init", "--quiet")
    return root


def release(
    root: Path, record: dict[str, Any], stages: dict[str, Any], catalog: dict[str, Any] | None = None
) -> Release:
    """Publish a version with this lineage.json and these entries of dvc.lock, and whatever else lies at `root`."""
    (root / "catalog.yaml").write_text(yaml.safe_dump(catalog or CATALOG))
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    version = load_lock(root, load_catalog(root / "catalog.yaml")).version
    number = number_for(root, version)
    values = {"format": 1, "version": version, "number": number, "previous": None, **record}
    (root / "lineage.json").write_text(json.dumps(values))
    dvc(root, "add", "--quiet", "lineage.json")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", f"Version {number}")
    told = tag_message(version, str(md5_of(root / "lineage.json")))
    git(root, "tag", "--annotate", f"dataset-{number}", "--message", told)
    return releases(root)[-1]
