"""A small git and DVC repository with a lock, a catalog and outputs, which keeps versions of itself."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.lineage.lock import load_lock, md5_of
from pipeline_tasks.lineage.releases import number_for, releases, tag_message

REPOSITORY = Path(__file__).parents[2]
CATALOG = {
    "products": {"plate": {"path": "raw", "layout": "mvtec"}},
    "generators": {"plate": {"base": "b", "prompts": "p"}},
    "defects": {
        "plate-pit": {"product": "plate", "source": "plate", "generator": "plate", "prompts": "p", "defect": "pit"}
    },
}
STAGES = {
    "masks": "mkdir -p data/masks/plate && cp seed.txt data/masks/plate/pit.parquet",
    "generate": "mkdir -p {0}/more && cp seed.txt {0}/0 && cp code.txt {0}/more/1".format("data/pairs/plate/pit"),
    "validate": "cat data/pairs/plate/pit/more/1 > data/checked.txt",
}
OUTS = {"masks": "data/masks/plate/pit.parquet", "generate": "data/pairs/plate/pit", "validate": "data/checked.txt"}
DEPS = {
    "masks": ["seed.txt"],
    "generate": ["seed.txt", "code.txt", OUTS["masks"]],
    "validate": ["data/pairs/plate", "data/pairs/plate/pit/more", "data/pairs/plate/pit/0"],
}
"""Of the last one: the folder above an output, one below it, and a file in it."""


def git(root, *arguments):
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def dvc(root, *arguments):
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, check=True, capture_output=True)


def make_repository(root):
    """Make the repository, its data pushed and committed as one version."""
    (root / ".dvc").mkdir(parents=True)
    for name in ("config", ".gitignore"):
        shutil.copy(REPOSITORY / ".dvc" / name, root / ".dvc")
    stages = {
        name: {
            "foreach": {"plate-pit": "pit"},
            "do": {"cmd": STAGES[name], "deps": DEPS[name], "outs": [OUTS[name]], "params": ["run"]},
        }
        for name in STAGES
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (root / "catalog.yaml").write_text(yaml.safe_dump(CATALOG))
    (root / "params.yaml").write_text("run: {seed: 0, rate: 0.00001}\n")
    (root / "code.txt").write_text("the code")
    (root / ".gitignore").write_text("/data/\n/.remote/\n/lineage.json\n")
    git(root, "init", "--quiet")
    return keep(root, "one")


def keep(root, text):
    """Let the stages make files that say `text`, push them, commit all, and return the commit."""
    (root / "seed.txt").write_text(text)
    dvc(root, "repro", "--quiet")
    dvc(root, "push", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", text)
    return git(root, "rev-parse", "HEAD")


def publish(root, text):
    """Keep a version as `defectline publish` does, with a lineage.json that names no samples; return its release."""
    keep(root, text)
    version = load_lock(root, load_catalog(root / "catalog.yaml")).version
    number, before = number_for(root, version), releases(root)
    previous = {"number": before[-1].number, "revision": before[-1].revision} if before else None
    record = {"format": 1, "version": version, "number": number, "previous": previous, "products": {}, "generators": {}}
    (root / "lineage.json").write_text(json.dumps(record))
    dvc(root, "add", "--quiet", "lineage.json")
    dvc(root, "push", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", f"publish {text}")
    digest = str(md5_of(root / "lineage.json"))
    git(root, "tag", "--annotate", f"dataset-{number}", "--message", tag_message(version, digest))
    return releases(root)[-1]
