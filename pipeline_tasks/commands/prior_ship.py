"""`defectline prior ship`: what `dvc repro` made in prior/ -> the prior that ships, and a run in MLflow."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline_tasks.lineage.turns import in_turn

FOLDER = Path("prior")
EXPERIMENT = "defectline-prior"
LOGGED = ("look.png", "metrics.json", "params.yaml", "training.json")
"""Files of FOLDER that the run in MLflow keeps beside those that ship."""


@in_turn("register")
def prior_ship() -> None:
    """Put the prior and its card into the package and log them. Run again for the same prior, it changes nothing.

    Raises ConfigError if the prior is not what the present code and parameters make.
    """
    from pipeline_tasks.inpainting.initial import SHIPPED
    from pipeline_tasks.inpainting.prior_files import CARD, FILES, read_prior
    from pipeline_tasks.storage import atomic_folder

    _check_reproduced()
    read_prior(FOLDER / "model")
    shipped = [*(FOLDER / "model" / name for name in (*FILES, CARD)), FOLDER / "README.md"]
    with atomic_folder(SHIPPED) as folder:
        _copy(shipped, folder)
    print(f"{SHIPPED}: {', '.join(file.name for file in shipped)}")
    with tempfile.TemporaryDirectory(prefix="defectline-") as place:
        _copy([*shipped, *(FOLDER / name for name in LOGGED)], Path(place))
        print(_log(Path(place)))


def _copy(files: list[Path], folder: Path) -> None:
    for file in files:
        shutil.copyfile(file, folder / file.name)


def _check_reproduced() -> None:
    """Raise ConfigError unless DVC finds the outputs of every stage as the present code and parameters make them."""
    from pipeline_tasks.errors import ConfigError
    from pipeline_tasks.lineage.dvc_command import errors_in, run_dvc

    asked = run_dvc(FOLDER, "status", "--json")
    if asked.returncode:
        raise ConfigError(f"{FOLDER}: `dvc status` failed: {errors_in(asked.stderr)}")
    if changed := json.loads(asked.stdout):
        raise ConfigError(f"{FOLDER}: not up to date: {', '.join(changed)}; run `make prior`")


def _log(folder: Path) -> str:
    """Log the files of a folder and what they say as one run, found by their content; return what was done."""
    from pipeline_tasks.commands.mlflow_store import mlflow_store
    from pipeline_tasks.commands.page_head import revision_tags
    from pipeline_tasks.prior.params import load_params
    from pipeline_tasks.stages.register import flat_params
    from pipeline_tasks.storage import content_digest, read_json
    from pipeline_tasks.tracking.registry import Record, connect
    from pipeline_tasks.tracking.run import DIGEST_TAG

    training, digest = read_json(folder / "training.json"), content_digest(folder)[:12]
    curve = dict(zip(training["step"], training["loss"], strict=True))
    values, measured = flat_params(load_params(folder / "params.yaml")), _flat(read_json(folder / "metrics.json"))
    uri, artifacts = mlflow_store()
    with connect(uri, EXPERIMENT, artifacts) as registry:
        run = registry.begin(digest, revision_tags(), DIGEST_TAG)
        if not run.finished:
            registry.complete(run, Record(values, measured, [], [], folder, {"train/loss": curve}))
    return f"{'already logged' if run.finished else 'logged'}: {EXPERIMENT}, run {run.run_id}"


def _flat(found: Mapping[str, Any]) -> dict[str, float]:
    """Return what was measured as held_out/NAME, or held_out/KIND/NAME in words that MLflow takes."""
    whole = {f"held_out/{name}": float(value) for name, value in found.items() if not isinstance(value, Mapping)}
    parts = {name: values for name, values in found.items() if isinstance(values, Mapping)}
    return whole | {f"held_out/{kind}/{name}": float(value) for kind, v in parts.items() for name, value in v.items()}
