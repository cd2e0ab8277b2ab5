"""What the house costs at the size of MVTec-AD: the graph, Airflow's parse, `dvc status`, a refresh of nothing.

    python benchmarks/scale.py build FOLDER                          # 15 products, 73 defects, 1,000 pairs each
    python benchmarks/scale.py measure FOLDER                        # seconds, side by side
    python benchmarks/scale.py build FOLDER --products 100 --defects 480 --shards 1

The project is this repository at a generated catalog: its dvc.yaml with every dependency, but each stage's command is
replaced by one that writes as many files as the real one would. What is measured is the house, not
the science: nothing here says how long pairs take.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.lineage.graph import CACHE, load_graph

REPOSITORY = Path(__file__).parents[1]
COPIED = ("params.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore", "pipeline_tasks", "dags")
STAGE = """\
import os, sys
from pathlib import Path

count, size, outs = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
for out in map(Path, outs):
    files = [out] if out.suffix else [out / "good.parquet", *(out / f"defect{i}.parquet" for i in range(count - 1))]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size) if not out.suffix else str(out).encode())
"""
FILE_BYTES = 1024
"""Of each file that another stage than generate makes: for each defect one, and one of good images."""
PARSE = """\
import sys, time
sys.path[:0] = [sys.argv[1] + "/dags"]
import airflow.sdk
begun = time.perf_counter()
import dataset_refresh
print(time.perf_counter() - begun)
"""


def main() -> None:
    """Build the project, or measure one that is built."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["build", "measure"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--products", type=int, default=15)
    parser.add_argument("--defects", type=int, default=73)
    parser.add_argument("--shards", type=int, default=11, help="of 96 pairs: 11 hold 1,000")
    parser.add_argument("--shard-kb", type=int, default=256)
    options = parser.parse_args()
    if options.action == "build":
        build(options.folder.absolute(), options)
    else:
        measure(options.folder.absolute())


def build(root: Path, options: argparse.Namespace) -> None:
    """Make the project and run its graph once."""
    shutil.rmtree(root, ignore_errors=True)
    (root / ".dvc").mkdir(parents=True)
    for name in COPIED:
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
    (root / "stage.py").write_text(STAGE)
    (root / "catalog.yaml").write_text(catalog(options.products, options.defects).to_yaml())
    pipeline = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())
    for name, stage in pipeline["stages"].items():
        stage["do"]["cmd"] = cheap(name, stage["do"], options)
    (root / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    for number in range(options.products):
        sample = root / f"data/raw/product{number}/image.png"
        sample.parent.mkdir(parents=True)
        sample.write_text(str(number))
    run(root, "git", "init", "--quiet")
    run(root, "git", "add", ".")
    run(root, "git", "-c", "user.name=b", "-c", "user.email=b@b", "commit", "--quiet", "--message", "Begin")
    spent = run(root, "dvc", "repro", "--quiet")
    print(f"{len(load_graph(root).stages)} stages, run once in {spent:.0f} s", flush=True)
    print(
        f"first push, with the run-cache, to a local remote: {run(root, 'dvc', 'push', '--quiet', '--run-cache'):.0f} s"
    )


def catalog(products: int, defects: int) -> Catalog:
    """Return a catalog in which the defects are spread over the products as evenly as can be."""
    names = [f"product{number}" for number in range(products)]
    made = {
        f"{names[i % products]}-defect{i // products}": (names[i % products], f"defect{i // products}")
        for i in range(defects)
    }
    base = {name: {"base": f"data/base/{name}", "prompts": f"data/prompts/{name}.json"} for name in names}
    return Catalog.model_validate(
        {
            "products": {name: {"path": f"data/raw/{name}", "layout": "mvtec"} for name in names},
            "generators": base,
            "defects": {
                key: {"product": p, "source": p, "generator": p, "prompts": base[p]["prompts"], "defect": defect}
                for key, (p, defect) in made.items()
            },
        }
    )


def cheap(name: str, stage: Mapping[str, Any], options: argparse.Namespace) -> str:
    """Return a command that writes what the stage's would, as to number and size of files."""
    listed = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    outs = [out if isinstance(out, str) else next(iter(out)) for out in listed]
    tables = 1 + -(-options.defects // options.products)
    count, size = (options.shards, options.shard_kb * 1024) if name == "generate" else (tables, FILE_BYTES)
    return shlex.join([sys.executable, "stage.py", str(count), str(size)]) + " " + " ".join(f'"{out}"' for out in outs)


def measure(root: Path) -> None:
    """Print what is asked every few seconds, every task, and every night."""
    graph = load_graph(root)
    print(f"{len(graph.stages)} stages, {sum(1 for file in (root / 'data').rglob('*') if file.is_file())} files")
    stage = next(stage.name for stage in graph.stages if stage.group == "generate")
    told = {
        "graph, resolved by DVC": lambda: resolved(root),
        "graph, cached": lambda: seconds(load_graph, root),
        "parse of dataset_refresh, cached graph": lambda: parsed(root),
        "dvc status": lambda: run(root, "dvc", "status", "--quiet"),
        "dvc repro, nothing to do": lambda: run(root, "dvc", "repro", "--quiet"),
        "one task of a refresh, nothing to do": lambda: run(root, "defectline", "repro", stage),
        "dvc push --run-cache, nothing to do": lambda: run(root, "dvc", "push", "--quiet", "--run-cache"),
    }
    for name, measured in told.items():
        times = [measured() for _ in range(3)]
        print(f"{name:40} {median(times):8.3f} s  ({min(times):.3f}..{max(times):.3f})", flush=True)


def resolved(root: Path) -> float:
    """Return the seconds that DVC takes to resolve the graph, its own import among them."""
    (root / CACHE).unlink(missing_ok=True)
    return run(
        root,
        sys.executable,
        "-c",
        "from pathlib import Path; from pipeline_tasks.lineage.graph import load_graph; load_graph(Path.cwd())",
    )


def parsed(root: Path) -> float:
    """Return the seconds of one parse of the DAG file, Airflow being imported already."""
    environment = {**own_environment(root), "DEFECTLINE_ROOT": str(root), "AIRFLOW_HOME": str(root / ".airflow")}
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(root)], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def seconds(call: Callable[..., object], *arguments: object) -> float:
    """Return how long a call takes."""
    begun = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - begun


def run(root: Path, *command: str) -> float:
    """Run a command, which must succeed, and return the seconds it took."""
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=root, env=own_environment(root), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - begun


def own_environment(root: Path) -> dict[str, str]:
    """Return the environment of commands that run the project's own copy of the code."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(root), "DEFECTLINE_PODS": ""}


if __name__ == "__main__":
    main()
