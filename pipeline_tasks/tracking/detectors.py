"""Detectors as registered models in MLflow: versions that serve by themselves, tagged with what each was trained on.

`mlflow.pyfunc.load_model("models:/defectline-PRODUCT-KIND@champion")` gives one that predicts on an image batch.
"""

import json
import logging
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import pipeline_tasks
from pipeline_tasks.detectors.kinds import Localiser, load_localiser
from pipeline_tasks.images.codec import Pixels
from pipeline_tasks.storage import read_json, write_json
from pipeline_tasks.tracking.artifacts import downloaded
from pipeline_tasks.tracking.datasets import BASE_TAG, CARD, GENERATOR_MODEL_TAG, GENERATOR_TAG, GIT_TAG
from pipeline_tasks.tracking.models import (
    COMPARED_TAG,
    REASON_TAG,
    STANDING_TAG,
    Alias,
    Models,
    ModelVersion,
    check_made_by,
    model_name,
)
from pipeline_tasks.tracking.run import DIGEST_TAG, LOCK_TAG, Run
from pipeline_tasks.tracking.store import errors_named

RECIPE_TAG = "defectline.recipe"
SETTINGS_TAG = "defectline.detector"
"""The section `detector` of params.yaml that it was trained with, as JSON."""
DATASET_MODEL_TAG = "defectline.dataset_model"
"""The `uri` of the registered data set that it was trained as; none where no data set was the champion."""
ALWAYS = (DIGEST_TAG, LOCK_TAG, GIT_TAG, GENERATOR_TAG, BASE_TAG, RECIPE_TAG, SETTINGS_TAG, STANDING_TAG, REASON_TAG)
FILES = "detector"
"""Folder of a version with what `Localiser.save` wrote."""
RECORD = "retraining.json"
"""File of a version with everything that was measured of it."""
NEEDS = (
    "mlflow",
    "monai",
    "numpy",
    "opencv-python-headless",
    "pyarrow",
    "pydantic",
    "PyYAML",
    "safetensors",
    "scipy",
    "torch",
)
"""What a served detector is made of, beside the copy of this package that it carries."""


@dataclass(frozen=True)
class Training:
    """What a detector is trained on and with.

    digest: SHA-256 (hex) of all of it by content. version, git_revision: of the data set that the pairs are of, ""
    where no data set was the champion. arms: what each defect is trained with, see benefit/arms.py. settings: the
    section `detector` of params.yaml.
    """

    digest: str
    version: str
    git_revision: str
    generator: str
    base_digest: str
    arms: Mapping[str, str]
    settings: str


@dataclass(frozen=True)
class DetectorVersion:
    """A registered detector, and the standing that it was given; compared_with: the number of the champion then.

    dataset_model: see TrainedDetector.
    """

    registered: ModelVersion
    training: Training
    standing: str
    reason: str
    compared_with: str | None
    dataset_model: str = ""

    @property
    def number(self) -> str:
        """Its number in MLflow."""
        return self.registered.number


@dataclass(frozen=True)
class TrainedDetector:
    """A detector to be registered. record: JSON values, kept as RECORD. card, description: what it is, Markdown.

    dataset_model, generator_model: the `uri` of the registered data set that it was trained as, and of the generator
    that made that one's pairs; "" where there is none.
    """

    product: str
    kind: str
    training: Training
    standing: str
    reason: str
    compared_with: str | None
    record: Mapping[str, Any]
    dataset_model: str = ""
    generator_model: str = ""
    card: str = ""
    description: str = ""


def champion_detector(models: Models, product: str, kind: str) -> DetectorVersion | None:
    """Return the champion among a product's detectors of a kind; None without one.

    Raises PublicationError if MLflow cannot be read, ConfigError if the champion was not registered here.
    """
    found = models.champion(model_name(product, kind))
    return _detector(found) if found else None


def find_detector(models: Models, product: str, kind: str, digest: str) -> DetectorVersion | None:
    """Return the detector that was trained on what has this digest; None if there is none."""
    found = models.find(model_name(product, kind), DIGEST_TAG, digest)
    return _detector(found) if found else None


def enter_detector(
    models: Models, run: Run, trained: TrainedDetector, localiser: Localiser, example: Pixels
) -> DetectorVersion:
    """Register a detector, or return what was registered for the same training before.

    example: an image that it works on, RGB uint8 [H, W, 3]. Aliases are left alone: see `Models.settle`. Raises
    PublicationError if MLflow refuses.
    """
    with tempfile.TemporaryDirectory() as folder, errors_named(models.uri):
        files, model = Path(folder) / FILES, Path(folder) / "model"
        localiser.save(files)
        _write_model(model, files, example)
        write_json(model / RECORD, trained.record)
        (model / CARD).write_text(trained.card, encoding="utf-8")
        name = model_name(trained.product, trained.kind)
        return _detector(models.register(run, name, model, DIGEST_TAG, _tags(trained), trained.description))


def judge_again(
    models: Models, detector: DetectorVersion, standing: Alias, reason: str, compared_with: str
) -> DetectorVersion:
    """Put a registered detector's standing anew, see `Models.judge_again`, and return it with that."""
    return _detector(models.judge_again(detector.registered, standing, reason, compared_with))


def localiser_of(models: Models, detector: DetectorVersion, device: str) -> Localiser:
    """Return a registered detector, ready to run on a device as params.yaml names it. Raises ModelError if damaged."""
    with downloaded(models, detector.registered, f"artifacts/{FILES}") as folder:
        return load_localiser(folder, device)


def record_of(models: Models, detector: ModelVersion) -> dict[str, Any]:
    """Return everything that was measured of a detector when it was registered, see stages/retrain.py."""
    with downloaded(models, detector, RECORD) as file:
        return dict(read_json(file))


def _write_model(folder: Path, files: Path, example: Pixels) -> None:
    """Write the model as MLflow has it: its script, the files, a copy of this package, and what it takes and gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's about its own types
        import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from pipeline_tasks.tracking import served_detector

    images = TensorSpec(np.dtype(np.uint8), (-1, -1, -1, 3))
    probabilities = TensorSpec(np.dtype(np.float32), (-1, -1, -1))
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)
    mlflow.pyfunc.save_model(
        folder,
        python_model=served_detector.__file__,
        artifacts={FILES: str(files)},
        code_paths=[str(Path(pipeline_tasks.__file__).parent)],
        signature=ModelSignature(Schema([images]), Schema([probabilities])),
        input_example=example[None],
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in NEEDS],
    )


def _tags(trained: TrainedDetector) -> dict[str, str]:
    training = trained.training
    known = {
        COMPARED_TAG: trained.compared_with,
        DATASET_MODEL_TAG: trained.dataset_model,
        GENERATOR_MODEL_TAG: trained.generator_model,
    }
    return {
        DIGEST_TAG: training.digest,
        LOCK_TAG: training.version,
        GIT_TAG: training.git_revision,
        GENERATOR_TAG: training.generator,
        BASE_TAG: training.base_digest,
        RECIPE_TAG: json.dumps(dict(training.arms), sort_keys=True),
        SETTINGS_TAG: training.settings,
        STANDING_TAG: trained.standing,
        REASON_TAG: trained.reason,
        **{tag: value for tag, value in known.items() if value},
    }


def _detector(found: ModelVersion) -> DetectorVersion:
    tags = found.tags
    check_made_by("retrain", found, ALWAYS)
    training = Training(
        digest=tags[DIGEST_TAG],
        version=tags[LOCK_TAG],
        git_revision=tags[GIT_TAG],
        generator=tags[GENERATOR_TAG],
        base_digest=tags[BASE_TAG],
        arms=json.loads(tags[RECIPE_TAG]),
        settings=tags[SETTINGS_TAG],
    )
    return DetectorVersion(
        registered=found,
        training=training,
        standing=tags[STANDING_TAG],
        reason=tags[REASON_TAG],
        compared_with=tags.get(COMPARED_TAG),
        dataset_model=tags.get(DATASET_MODEL_TAG, ""),
    )
