"""The prior's repository inside this one's, as a project of their own, with parameters that cost little."""

import shutil
from pathlib import Path
from typing import Any

from tiny_project import REPOSITORY, call, make_project

from pipeline_tasks.yaml_files import to_yaml

TINY: dict[str, Any] = {
    "seed": 0,
    "look": {"scenes": 4, "columns": 2},
    "train": {
        "threads": 1,
        "workers": 0,
        "channels": [8, 16],
        "steps": 3,
        "blocks": {"window_px": 32, "batch_size": 4, "wide_every": 2},
        "learning_rate": 0.001,
        "ema_decay": 0.9,
        "checkpoint_every_steps": 2,
        "device": "cpu",
        "precision": "float32",
    },
    "measure": {"threads": 1, "scenes": 4, "wide_every": 2, "device": "cpu", "precision": "float32"},
}
"""What git keeps of prior/, besides what its stages make."""
KEPT = ("dvc.yaml", ".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore")


def make_prior_project(root: Path, **sections: dict[str, Any]) -> Path:
    """Make a project as `make_project` does, with the prior's repository in it, and commit that too."""
    make_project(root, **sections)
    for name in KEPT:
        (root / "prior" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / "prior" / name, root / "prior" / name)
    (root / "prior/params.yaml").write_text(to_yaml(TINY))
    call(root, "git", "add", ".")
    call(root, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "The prior")
    return root
