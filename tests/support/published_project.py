"""The tiny project, run and published on one machine: once for all workers of a test run."""

import fcntl
import os
from pathlib import Path

import pytest
from tiny_project import call, make_project


def published_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the published project, its data set promoted and a detector trained; the first who asks makes it.

    Its pairs are made in parts: of the two, the second has the one whole shard.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    root = shared / "published" / "project"
    with (shared / "published.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (root / "done").exists():
            make_project(root, parts=2, retrain={"detectors": ["unet"]})
            call(root, "dvc", "repro", "--quiet")
            call(root, "defectline", "publish")
            call(root, "defectline", "promote", "plate", "1", "--reason", "a trial")
            call(root, "defectline", "retrain", "--product", "plate")
            (root / "done").touch()
    return root
