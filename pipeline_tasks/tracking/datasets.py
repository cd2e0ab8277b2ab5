"""Data sets as registered models in MLflow: what each product's version gains, and what it says to train with.

MLflow has no aliases on data sets. A version of the model `defectline-PRODUCT-dataset` stands for one; its files are
the choice and the recommendation, its tags everything that the gate reads of a champion.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_tasks.storage import write_json
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
from pipeline_tasks.tracking.run import LOCK_TAG, REVISION_TAG, Run

DATASET = "dataset"
"""The kind of model, see `model_name`."""
GIT_TAG = "defectline.git_revision"
GENERATOR_TAG = "defectline.generator"
BASE_TAG = "defectline.base_digest"
RECOMMENDATION_TAG = "defectline.recommendation"
RELEASE_TAG = "defectline.release"
"""The number of the git tag dataset-N; none before the version is published."""
GENERATOR_MODEL_TAG = "defectline.generator_model"
"""The `uri` of the registered generator that made the pairs."""
LIFT_TAGS = {part: f"defectline.lift_{part}" for part in ("gain", "low", "high", "probability")}
ALWAYS = (LOCK_TAG, GIT_TAG, GENERATOR_TAG, BASE_TAG, STANDING_TAG, REASON_TAG, RECOMMENDATION_TAG)
CARD = "README.md"
"""File of a version that tells people what it is."""
RECOMMENDED = ("outcome", "arm", "backend", "ratio", "augmentation")
"""What a recommendation holds of each defect's choice."""


@dataclass(frozen=True)
class Lift:
    """Out-of-fold pixel AP of the chosen mixture over the best real arm, -1..1: mean, interval, P(lift > 0)."""

    gain: float
    low: float
    high: float
    probability: float


@dataclass(frozen=True)
class Candidate:
    """A product's data set as the gate has judged it.

    compared_with: the number of the champion, if any. generator_model: the `uri` of the registered generator. release:
    the number of its git tag, "" before it has one. git_revision: the commit that keeps its lock, as far as is known.
    card, description: what it is, as Markdown and in a sentence.
    """

    product: str
    choice: Mapping[str, Any]
    standing: Alias
    reason: str
    compared_with: str | None
    generator_model: str = ""
    release: str = ""
    git_revision: str = ""
    card: str = ""
    description: str = ""


@dataclass(frozen=True)
class DatasetVersion:
    """A registered version of a product's data set, and the standing that the gate gave it.

    version: that of dvc.lock. recommendation: {"product", "generator", "detector", "incumbent", "defects": defect ->
    {"outcome", "arm", "backend", "ratio", "augmentation"}}, values as in data/choice/PRODUCT.json. release,
    generator_model: see Candidate, "" where unknown.
    """

    registered: ModelVersion
    version: str
    git_revision: str
    standing: Alias
    reason: str
    compared_with: str | None
    lift: Lift | None
    base_digest: str
    recommendation: Mapping[str, Any]
    release: str = ""
    generator_model: str = ""

    @property
    def product(self) -> str:
        """Whose data set it is."""
        return str(self.recommendation["product"])

    @property
    def number(self) -> str:
        """Its number in MLflow."""
        return self.registered.number


def champion_dataset(models: Models, product: str) -> DatasetVersion | None:
    """Return the champion among a product's data sets; None without one.

    Raises PublicationError if MLflow cannot be read, ConfigError if the champion was not registered here.
    """
    champion = models.champion(model_name(product, DATASET))
    return _dataset(champion) if champion else None


def enter(models: Models, run: Run, candidate: Candidate) -> DatasetVersion:
    """Register a product's data set for the version of `run`, or return what was registered for it before.

    Its standing is then the one it was given first; a release that it has got since then is added. Aliases are left
    alone: see `Models.settle`. Raises PublicationError if MLflow refuses.
    """
    recommendation, name = _recommendation(candidate.choice), model_name(candidate.product, DATASET)
    tags = _tags(run, candidate) | {RECOMMENDATION_TAG: json.dumps(recommendation, sort_keys=True)}
    with tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder, "choice.json"), candidate.choice)
        write_json(Path(folder, "recommendation.json"), recommendation)
        Path(folder, CARD).write_text(candidate.card, encoding="utf-8")
        found = models.register(run, name, Path(folder), LOCK_TAG, tags, candidate.description)
    later = _released(candidate) if RELEASE_TAG not in found.tags else {}
    return _dataset(models.add_tags(found, later) if later else found)


def _recommendation(choice: Mapping[str, Any]) -> dict[str, Any]:
    defects = {name: {key: found[key] for key in RECOMMENDED} for name, found in choice["defects"].items()}
    return {key: choice[key] for key in ("product", "generator", "detector", "incumbent")} | {"defects": defects}


def _tags(run: Run, candidate: Candidate) -> dict[str, str]:
    lift = candidate.choice["lift"]
    known = {COMPARED_TAG: candidate.compared_with, GENERATOR_MODEL_TAG: candidate.generator_model}
    return {
        LOCK_TAG: run.tags[LOCK_TAG],
        GIT_TAG: run.tags.get(REVISION_TAG, ""),
        GENERATOR_TAG: candidate.choice["generator"],
        BASE_TAG: candidate.choice["base_digest"],
        STANDING_TAG: candidate.standing,
        REASON_TAG: candidate.reason,
        **{tag: value for tag, value in known.items() if value},
        **_released(candidate),
        **({tag: repr(float(lift[part])) for part, tag in LIFT_TAGS.items()} if lift else {}),
    }


def _released(candidate: Candidate) -> dict[str, str]:
    """Return what is known of a version once it is published."""
    return {RELEASE_TAG: candidate.release, GIT_TAG: candidate.git_revision} if candidate.release else {}


def _dataset(found: ModelVersion) -> DatasetVersion:
    tags = found.tags
    check_made_by("register", found, ALWAYS)
    measured = LIFT_TAGS["gain"] in tags
    return DatasetVersion(
        registered=found,
        version=tags[LOCK_TAG],
        git_revision=tags[GIT_TAG],
        standing=found.standing,
        reason=tags[REASON_TAG],
        compared_with=tags.get(COMPARED_TAG),
        lift=Lift(**{part: float(tags[tag]) for part, tag in LIFT_TAGS.items()}) if measured else None,
        base_digest=tags[BASE_TAG],
        recommendation=json.loads(tags[RECOMMENDATION_TAG]),
        release=tags.get(RELEASE_TAG, ""),
        generator_model=tags.get(GENERATOR_MODEL_TAG, ""),
    )
