"""The registered models of MLflow as a trace looks through them."""

from typing import TYPE_CHECKING

from pipeline_tasks.commands.versions import known_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline_tasks.audit.traced_models import TracedModel, TracedModels
    from pipeline_tasks.tracking.models import Models, ModelVersion


def registered_models() -> "TracedModels":
    """Return every version of every registered model; where MLflow cannot be read, why."""
    from pipeline_tasks.audit.traced_models import TracedModels
    from pipeline_tasks.errors import PublicationError

    try:
        with known_models() as models:
            if models is None:
                return TracedModels(unreachable="MLflow was never used here; MLFLOW_TRACKING_URI names another one")
            return TracedModels([found for name in models.names() for found in _versions(models, name)])
    except PublicationError as error:
        return TracedModels(unreachable=str(error))


def _versions(models: "Models", name: str) -> "Iterator[TracedModel]":
    from pipeline_tasks.audit.traced_models import KINDS, TracedModel
    from pipeline_tasks.tracking.models import CHALLENGER, CHAMPION, PREFIX
    from pipeline_tasks.tracking.run import DIGEST_TAG, LOCK_TAG

    item, _, called = name.removeprefix(PREFIX).rpartition("-")
    kind, holders = KINDS.get(called, "detector"), {a: models.by_alias(name, a) for a in (CHAMPION, CHALLENGER)}
    for found in models.versions(name):
        yield TracedModel(
            model=name,
            number=found.number,
            kind=kind,
            item=item,
            version=found.tags.get(LOCK_TAG, ""),
            digest=found.tags.get(DIGEST_TAG, ""),
            aliases=tuple(alias for alias, held in holders.items() if held and held.number == found.number),
            samples=_samples(models, found) if kind == "detector" else None,
        )


def _samples(models: "Models", found: "ModelVersion") -> list[dict[str, str]] | None:
    """Return the real samples that a detector was trained on; None where its record is lost, or an older one."""
    from pipeline_tasks.errors import DefectlineError
    from pipeline_tasks.tracking.detectors import record_of

    try:
        return record_of(models, found).get("samples")
    except DefectlineError:
        return None
