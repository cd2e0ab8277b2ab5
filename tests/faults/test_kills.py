"""A refresh that is killed, and refused disks and servers, strictly inside its stages, ends as one that was not."""

import errno
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from itertools import zip_longest

import numpy as np
import pytest
from mlflow import MlflowClient
from mortal_refresh import LOG, PUBLISH, Fault, refresh, start_refresh
from progress_on_disk import progress_of
from safetensors import SafetensorError
from tiny_project import make_project

from pipeline_tasks.commands.repro import CRASHED
from pipeline_tasks.schema import Pair
from pipeline_tasks.storage import PARTIAL, read_rows

SETTINGS = {
    "train": {"steps": 24, "checkpoint_every_steps": 1},
    "masks": {"pairs_per_defect": 8},
    "register": {"sample_pairs": 1},
}
DEFECTS = ("pit", "scratch", "stain")
STEP = "pipeline_tasks.inpainting.training._loss"
CHECKPOINT = "pipeline_tasks.commands.checkpoints.FolderCheckpoints.save"
STATE_FILE = "safetensors.torch.save_file"
PAIR = "pipeline_tasks.backends.pairs._pair"
TABLE = "pipeline_tasks.storage.write_rows"
JSON = "pipeline_tasks.storage.write_json"
IN_PLACE = "pipeline_tasks.storage.replace_folder"
REGISTRY = "pipeline_tasks.tracking.registry.Registry"
MLFLOW = "mlflow.MlflowClient"


def in_train(rng):
    """The next kill of the training: at least a step later than the one before."""
    name, function, after = [
        ("within a step", STEP, False),
        ("after a step", STEP, True),
        ("after a checkpoint", CHECKPOINT, True),
        ("a checkpoint half in place", STATE_FILE, True),
    ][rng.integers(4)]
    return Fault("train@plate", name, function, int(rng.integers(2, 4)), after, bool(rng.integers(2)))


def in_generate(rng, defect):
    name, function, call, after = [
        ("within a pair", PAIR, int(rng.integers(3, 5)), False),
        ("a shard written, its rejections not", TABLE, 4, False),
        ("after a shard", TABLE, 2, True),
    ][rng.integers(3)]
    return Fault(f"generate@plate-{defect}", name, function, call, after, bool(rng.integers(2)))


def in_validate(rng, number):
    """Kills at one point and at the other in turn."""
    points = [("Data Docs not yet in place", IN_PLACE), ("result not yet written", JSON)]
    first = rng.integers(2)
    turns = [points[(first + turn) % 2] for turn in range(number)]
    return [Fault("validate@plate", *point, everything=bool(rng.integers(2))) for point in turns]


def in_publish(rng, number):
    """Kills of publishing, each further on than the one before."""
    points = [
        ("lock committed", "pipeline_tasks.lineage.publish.push_data", 1, False),
        ("data pushed", "pipeline_tasks.commands.register.register", 1, False),
        ("run begun", f"{REGISTRY}.begin", 1, True),
        ("report half in place", IN_PLACE, 1, False),
        ("report written", f"{REGISTRY}.complete", 1, False),
        ("a portion of parameters logged", f"{MLFLOW}.log_batch", 1, True),
        ("first data set logged", f"{MLFLOW}.log_inputs", 1, True),
        ("last data set logged", f"{MLFLOW}.log_inputs", 3, True),
        ("model begun", f"{MLFLOW}.create_logged_model", 1, True),
        ("model half uploaded", f"{MLFLOW}.finalize_logged_model", 1, False),
        ("model uploaded", f"{MLFLOW}.create_model_version", 1, False),
        ("model registered", f"{MLFLOW}.create_model_version", 1, True),
        ("artifacts logged", f"{MLFLOW}.log_artifacts", 1, True),
        ("run finished", f"{MLFLOW}.set_terminated", 1, True),
        ("latest.json not yet written", JSON, 1, False),
    ]
    drawn = sorted(rng.choice(len(points), number, replace=False))
    return [Fault(PUBLISH, *points[i], everything=bool(rng.integers(2))) for i in drawn]


def drawn_faults(seed, train, generate, validate, publish):
    """As many kills as told, in the order in which a refresh comes to them; after those of a stage, a full disk."""
    rng = np.random.default_rng(seed)
    rust = SafetensorError(f"Error while serializing: I/O error: {os.strerror(errno.ENOSPC)} (os error {errno.ENOSPC})")
    full, read_only = (OSError(code, os.strerror(code)) for code in (errno.ENOSPC, errno.EROFS))
    return [
        *(in_train(rng) for _ in range(train)),
        Fault("train@plate", "checkpoint", STATE_FILE, 3, refusal=rust),
        *(in_generate(rng, defect) for defect, kills in generate.items() for _ in range(kills)),
        Fault("generate@plate-stain", "table", "pyarrow.parquet.ParquetWriter.write_batch", 2, refusal=full),
        *in_validate(rng, validate),
        Fault("validate@plate", "Data Docs", "pathlib.Path.write_text", refusal=full),
        *in_publish(rng, publish),
        Fault(PUBLISH, "report", "pathlib.Path.write_bytes", refusal=read_only),
    ]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A project whose stages before training have run, with an empty MLflow, as making one takes seconds."""
    root = make_project(tmp_path_factory.mktemp("prepared") / "defectline", **SETTINGS)
    (root / ".mlflow").mkdir()
    MlflowClient(f"sqlite:///{root}/.mlflow/mlflow.db").search_experiments()
    for defect in DEFECTS:
        assert refresh(root, f"masks@plate-{defect}") == 0, (root / LOG).read_text()
    return root


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """The project, refreshed without interruption, but twice at once from publishing on."""
    root = shutil.copytree(prepared, tmp_path_factory.mktemp("whole") / "defectline")
    assert refresh(root, "evaluate@plate") == 0, (root / LOG).read_text()
    logs = ["one.log", "other.log"]
    both = [start_refresh(root, log=f".dvc/tmp/{log}") for log in logs]
    for one in both:
        one.join()
    told = "".join((root / ".dvc/tmp" / log).read_text() for log in logs)
    assert [one.exitcode for one in both] == [0, 0], told
    assert told.count("waiting until process") >= 1
    assert (told.count("\nregistered: version"), told.count("already registered: version")) == (1, 1)
    return root


@pytest.fixture
def project(prepared, tmp_path, monkeypatch):
    """The project again, and an environment without an MLflow of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return shutil.copytree(prepared, tmp_path / "defectline")


@pytest.mark.parametrize(
    "kills",
    [
        {"train": 1, "generate": {"pit": 1}, "validate": 1, "publish": 1},
        pytest.param(
            {"train": 6, "generate": dict.fromkeys(DEFECTS, 2), "validate": 3, "publish": 5}, marks=pytest.mark.long
        ),
    ],
)
def test_a_refresh_that_met_every_fault_ends_as_the_one_that_met_none(project, whole, monkeypatch, capsys, kills):
    died = [line for fault in drawn_faults(0, **kills) if (line := meet(project, fault))]
    without_remote(project)
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        refused(project, None, "MLflow at http://127.0.0.1:9: ")
    refreshed(project)
    made, wanted = pairs(project), pairs(whole)
    lost, doubled = (wanted - made).total(), (made - wanted).total()
    different = different_bytes(contents(project), contents(whole))
    with capsys.disabled():
        print("", *died, sep="\n")
        print(f"kills {len(died)}, pairs {made.total()}, lost {lost}, doubled {doubled}, bytes different {different}")
    assert (lost, doubled, different) == (0, 0, 0)
    assert made.total() == len(DEFECTS) * SETTINGS["masks"]["pairs_per_defect"]
    assert in_mlflow(project) == in_mlflow(whole) == {"runs": 1, "finished": 1, "versions": 2, "data sets": 4}


def meet(root, fault):
    """Refresh and meet a fault; return where a kill was: strictly inside its stage."""
    if fault.refusal:
        reason = os.strerror(getattr(fault.refusal, "errno", None) or errno.ENOSPC)
        remedy = "make it writable" if "Read-only" in reason else "free space there"
        refused(root, fault, f": {reason}; {remedy}, then run this again")
        return None
    status = refresh(root, fault=fault)
    assert status != 0, f"never came to it: {fault}"
    assert (status == -signal.SIGKILL) == fault.everything, (root / LOG).read_text()
    done, total = progress_of(root, fault.stage)
    assert 0 < done < total, fault
    return f"{fault.stage:<22} {fault.name:<40} {done:>2} of {total}{', DVC too' if fault.everything else ''}"


def without_remote(root):
    """Refresh without the remote."""
    remote = root / ".remote"
    remote.rename(root / ".remote of before")
    remote.write_text("in the way of the folder")
    refused(root, None, "`dvc push` failed: ")
    remote.unlink()
    (root / ".remote of before").rename(remote)


def refused(root, fault, told):
    """Refresh; it must end by saying `told` in one line, with nothing half-written left, and no secret told."""
    before = unfinished(root)
    assert refresh(root, fault=fault) not in (0, CRASHED)
    log = (root / LOG).read_text()
    (error,) = [line for line in log.splitlines() if line.startswith("error: ")]
    assert told in error
    assert "Traceback" not in log and "secret" not in log
    assert unfinished(root) <= before, "what kills have left goes, and nothing is added"


def unfinished(root):
    return {file for folder in ("data", "reports", ".work") for file in root.glob(f"{folder}/**/*{PARTIAL}")}


def refreshed(root):
    assert refresh(root) == 0, (root / LOG).read_text()
    return root


def pairs(root):
    return Counter(pair.pair_id for table in root.glob("data/pairs/*/*/*.parquet") for pair in read_rows(table, Pair))


def contents(root):
    """Every file of the data, the splits and the reports, and dvc.lock.

    Reports and cards without what names the run: its id, its time to the minute, the code's revision, where MLflow is.
    """
    files = [file for folder in ("data", "splits", "reports") for file in (root / folder).rglob("*") if file.is_file()]
    found = {str(file.relative_to(root)): file.read_bytes() for file in [*files, root / "dvc.lock"]}
    latest = json.loads(found["reports/latest.json"])
    revision = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=root, text=True)
    own = [latest["mlflow_run"], latest["mlflow_uri"], revision.strip(), revision[:12]]
    named = re.compile("|".join([*map(re.escape, own), r"\d+ \w+ \d{4}, \d\d:\d\d UTC"]).encode())
    cards = [name for name in found if name.endswith(".md")]
    for name in ("reports/latest.json", latest["report"], *cards):
        found[name] = named.sub(b"", found[name])
    return found


def different_bytes(ours, theirs):
    """Count the bytes that differ between two sets of files; a file that one lacks differs in all, and in its name."""
    differing = 0
    for name in {*ours, *theirs}:
        one, other = ours.get(name), theirs.get(name)
        if one != other:
            pairs_of_bytes = zip_longest(one or b"", other or b"")
            differing += sum(a != b for a, b in pairs_of_bytes) + (one is None or other is None)
    return differing


def in_mlflow(root):
    with sqlite3.connect(root / ".mlflow/mlflow.db") as database:
        count = lambda rows: database.execute(f"select count(*) from {rows}").fetchone()[0]  # noqa: E731, S608
        return {
            "runs": count("runs"),
            "finished": count("runs where status = 'FINISHED'"),
            "versions": count("model_versions"),
            "data sets": count("inputs where source_type = 'DATASET'"),
        }
