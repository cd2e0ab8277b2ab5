"""A project whose stages are this one's by name and shape and cost next to nothing, for runs beside it.

`control/` says what becomes of a stage: refuse-NAME and kill-NAME (once); ran.txt there names those whose command ran.
"""

import shutil
import sys
from collections.abc import Sequence
from contextlib import chdir
from itertools import product
from pathlib import Path
from runpy import run_path
from unittest.mock import patch

import yaml
from rows import pair, sample

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.errors import DefectlineError
from pipeline_tasks.lineage.protocol_runs import SideWorkspace
from pipeline_tasks.lineage.stopwatch import Stopwatch
from pipeline_tasks.schema import Pair, Sample
from pipeline_tasks.storage import write_rows

REPOSITORY = Path(__file__).parents[2]
META = {"gpu": False, "cpus": 1, "memory": "1Gi", "disk": "2Gi", "timeout_minutes": 5}
STAGE = """\
import json, os, shutil, sys
from pathlib import Path
import yaml

name, output = sys.argv[1], Path(sys.argv[2])
control = Path(Path("pipeline_tasks/control.txt").read_text())
params = yaml.safe_load(Path("params.yaml").read_text())
with (control / "ran.txt").open("a") as log:
    print(name, file=log)
if (control / f"refuse-{name}").exists():
    sys.exit(f"error: the gate of {name} is shut")
if (kill := control / f"kill-{name}").exists():
    kill.unlink()
    os.kill(os.getpid(), 9)
output.parent.mkdir(parents=True, exist_ok=True)
stage, _, item = name.partition("@")
backend, quality = params["backend"]["name"], 0.5 + 0.1 * params["ingest"]["draw"]
if stage in ("ingest", "generate"):
    output.mkdir(parents=True)
    table = {"ingest": "pit", "generate": "shard"}[stage]
    shutil.copy(control / f"{table}.parquet", output)
if stage == "train":
    output.write_text(json.dumps(params["train"]["steps"]))
if stage == "choose":
    said = {"outcome": "no synthesis", "arm": "real_flip", "backend": None, "ratio": 0.0, "augmentation": "flip"}
    output.write_text(json.dumps({"defects": {"pit": said | {"reason": "Nothing beats it."}}, "left_out": []}))
if stage == "evaluate":
    gain = 0.1 if params["masks"]["interpolated_fraction"] else -0.1
    arms = {}
    for arm in params["evaluate"]["arms"]:
        value = quality + (gain if arm.startswith("generator") else 0)
        against = {"difference": value - quality, "low": -0.2, "high": 0.2, "probability": 0.9}
        arms[arm.replace("generator", backend)] = {
            "pixel_ap": {"mean": value, "std": 0.01, "values": [value]},
            "synthetic_images": params["masks"]["pairs_per_defect"],
            "against": None if arm == "real_flip" else against,
        }
    found = {
        "seeds": params["evaluate"]["seeds"],
        "budget": params["detector"]["budget"],
        "left_out": ["arm perlin_50: over the budget"],
        "detectors": {"unet": {"reasons": {"image_auroc": "there are no normal test images"}, "arms": arms}},
        "verdict": {"outcome": "better", "sentence": f"{item} gains."},
    }
    output.write_text(json.dumps(found))
"""
OUTPUTS = {
    "ingest": "data/base/${key}",
    "train": "data/models/${key}",
    "generate": "data/pairs/${item.product}/${item.defect}",
    "choose": "data/choice/${key}.json",
    "evaluate": "data/evaluation/${key}.json",
}
READS = {
    "ingest": (["${item.path}"], ["ingest"]),
    "train": (["data/base/${key}"], ["train"]),
    "generate": (["data/models/${item.generator}"], ["masks"]),
    "choose": (["data/pairs/${key}"], ["choose"]),
    "evaluate": (["data/choice/${key}.json"], ["evaluate", "masks", "backend", "detector", "ingest"]),
}
"""Dependencies and parameters of every stage."""


def make_side_project(root: Path) -> Path:
    """Make the project at `root`, a DVC repository without git, and return its `control`."""
    control, code = root / "control", root / "pipeline_tasks"
    for folder in (root / ".dvc", control, code):
        folder.mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    for name in ("params.yaml", ".dvcignore"):
        shutil.copy(REPOSITORY / name, root)
    shutil.copytree(REPOSITORY / "profiles", root / "profiles")
    (code / "stage.py").write_text(STAGE)
    (code / "control.txt").write_text(str(control))
    stages = {name: {"foreach": f"${{{_each(name)}}}", "do": _stage(name)} for name in OUTPUTS}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"vars": ["catalog.yaml"], "stages": stages}, sort_keys=False))
    write_rows(control / "pit.parquet", [sample("pit", number) for number in range(3)], Sample)
    write_rows(control / "shard.parquet", [pair("pit", number) for number in range(4)], Pair)
    return control


def run_without_dvc(workspace: SideWorkspace, _: object, targets: Sequence[str], watch: Stopwatch) -> None:
    """Stand in for `SideWorkspace._run`: run all stages before the targets, and these, in this process."""
    last = [*OUTPUTS].index(targets[0].partition("@")[0])
    products = load_catalog(workspace.home / "catalog.yaml").products
    for stage, item in product([*OUTPUTS][: last + 1], products):
        name = f"{stage}@{item}-pit" if stage == "generate" else f"{stage}@{item}"
        output = OUTPUTS[stage].replace("${key}", item).replace("${item.product}/${item.defect}", f"{item}/pit")
        shutil.rmtree(workspace.home / output, ignore_errors=True)
        watch.hear(f"Running stage '{name}':")
        with chdir(workspace.home), patch.object(sys, "argv", ["stage.py", name, output]):
            _run_script(name)
        watch.hear("Updating lock file 'dvc.lock'")


def _run_script(name: str) -> None:
    try:
        run_path("pipeline_tasks/stage.py")
    except SystemExit as end:
        raise DefectlineError(f"stage '{name}': {end}") from end


def ran(control: Path) -> list[str]:
    """Return the stages whose command has run since the last call, in their order."""
    log = control / "ran.txt"
    names = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return names


def _each(stage: str) -> str:
    return {"train": "generators", "generate": "defects"}.get(stage, "products")


def _stage(name: str) -> dict[str, object]:
    deps, params = READS[name]
    return {
        "cmd": f'python pipeline_tasks/stage.py {name}@${{key}} "{OUTPUTS[name]}"',
        "deps": [*deps, "pipeline_tasks/stage.py"],
        "params": params,
        "outs": [OUTPUTS[name]],
        "meta": META,
    }
