"""A project with this one's graph and its real ingest; the other stages cost nothing and write digests of their data.

What a stage's output depends on is as with the generator `paste`, which learns nothing: prompts and models follow from
the names of the defects alone.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from tiny_project import REPOSITORY, own_environment

STAGE = """\
import hashlib, sys
from pathlib import Path

names_alone, outs, deps = sys.argv[1] == "names", sys.argv[2].split(), sys.argv[3].split()
files = [file for dep in deps for file in sorted([*Path(dep).rglob("*"), Path(dep)]) if file.is_file()]
digest = hashlib.sha256()
for file in files:
    digest.update(file.name.encode() if names_alone else str(file).encode() + file.read_bytes())
for out in map(Path, outs):
    place = out if out.suffix else out / "made.txt"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(digest.hexdigest())
"""
FROM_NAMES = ("prompts", "pretrain", "train")


def make_graph_project(root: Path, product: Path) -> Path:
    """Make the project of the MVTec-AD folder `product` at `root`, a git repository with everything committed."""
    (root / ".dvc").mkdir(parents=True)
    for name in ("params.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copy(REPOSITORY / name, root / name)
    shutil.copytree(product, root / "data/raw" / product.name)
    graph = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())
    graph["stages"] = {name: entry | {"do": _cheap(name, entry["do"])} for name, entry in graph["stages"].items()}
    (root / "dvc.yaml").write_text(yaml.safe_dump(graph, sort_keys=False))
    (root / "stage.py").write_text(STAGE)
    call_here(root, "git", "init", "--quiet")
    call_here(root, "defectline", "catalog", f"data/raw/{product.name}")
    call_here(root, "git", "add", ".")
    call_here(root, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "Begin")
    return root


def call_here(root: Path, *command: str) -> str:
    """Run a command with this repository's package, which must succeed, and return what it printed."""
    environment = {**os.environ, **own_environment(root), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stages_run(output: str) -> set[str]:
    """Return the stages whose command DVC ran, as it says in its `output`."""
    return set(re.findall(r"Running stage '(.+?)'", output))


def _cheap(name: str, stage: dict[str, Any]) -> dict[str, Any]:
    """Return a stage that depends on the data of the real one alone and makes the same files."""
    deps = [dep for dep in stage["deps"] if not dep.startswith("pipeline_tasks")]
    if name == "ingest":
        return stage | {"deps": deps}
    listed = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    outs = [out if isinstance(out, str) else next(iter(out)) for out in listed]
    kind = "names" if name in FROM_NAMES else "content"
    command = f'{sys.executable} stage.py {kind} "{" ".join(outs)}" "{" ".join(deps)}"'
    return {"cmd": command, "deps": deps, "outs": outs, "desc": stage["desc"], "meta": stage["meta"]}
