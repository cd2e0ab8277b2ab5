"""Registered models that depend on a real sample: data sets, generators and detectors in MLflow."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline_tasks.audit.sample_use import DataSet, Use
from pipeline_tasks.splits.guard import TEST

Kind = Literal["dataset", "generator", "detector"]
KINDS: Mapping[str, Kind] = {"dataset": "dataset", "generator": "generator"}
"""Kinds by how the name of a registered model ends; all others are detectors."""


@dataclass(frozen=True)
class TracedModel:
    """A version of a registered model, as MLflow has it.

    item: the product, or the generator's name. version: of the data set that it is, or that its pairs are of; "" for
    none. digest: DVC's MD5, of a generator. samples: the real samples that a detector was trained on, each with
    "source_path" and "sha256"; None where its record does not tell.
    """

    model: str
    number: str
    kind: Kind
    item: str
    version: str
    digest: str
    aliases: tuple[str, ...] = ()
    samples: Sequence[Mapping[str, str]] | None = None


@dataclass(frozen=True)
class TracedModels:
    """The registered models of an MLflow store; unreachable: why they are not known, else ""."""

    models: Sequence[TracedModel] = ()
    unreachable: str = ""


@dataclass(frozen=True)
class ModelUse:
    """A registered model that depends on a sample, and how, in words."""

    model: str
    number: str
    kind: Kind
    aliases: tuple[str, ...]
    how: str

    @classmethod
    def of(cls, model: TracedModel, how: Sequence[str]) -> "ModelUse":
        """Return the use of a sample by a model, given all the ways in which it depends on it."""
        return cls(model.model, model.number, model.kind, model.aliases, "; ".join(how))


@dataclass(frozen=True)
class Versions:
    """What the releases tell that could be checked: `uses` by version, and the digests of all `generators`."""

    uses: Mapping[str, Sequence[Use]]
    generators: Collection[str]


def how_it_depends(model: TracedModel, versions: Versions, digests: Collection[str]) -> list[str]:
    """Return how a registered model depends on the samples with these SHA-256s; nothing where it does not, as told."""
    if model.kind == "generator":
        learned = {made.digest for uses in versions.uses.values() for use in uses for made in use.generators}
        return ["it learned from it"] if model.digest in learned else []
    uses = versions.uses.get(model.version, ())
    data_sets = [found for use in uses for found in use.data_sets if found.product == model.item]
    if model.kind == "detector":
        return list(_detector(model, data_sets, digests))
    measured = any(use.product == model.item and TEST in use.roles for use in uses)
    return [*_data_set(data_sets), *(["it was measured on it"] if measured else [])]


def why_unknown(model: TracedModel, versions: Versions) -> str:
    """Return why it cannot be told whether a registered model depends on a sample; "" where it can."""
    if model.kind == "generator":
        return "" if model.digest in versions.generators else "it is in no release that could be checked"
    if model.kind == "detector" and model.samples is None and not model.version:
        return "neither its record nor a data set tells what it was trained on"
    known = not model.version or model.version in versions.uses
    return "" if known else f"its data set, version {model.version}, is no release that could be checked"


def _data_set(data_sets: Sequence[DataSet]) -> Iterator[str]:
    """Tell once for all defects of a product."""
    if parents := sum(found.parents for found in data_sets):
        yield f"parent of {parents} of its pairs"
    if normals := sum(found.normals for found in data_sets):
        yield f"normal image of {normals} of its pairs"
    if data_sets and not (parents or normals):
        learned = any(found.generator for found in data_sets)
        yield "its generator learned from it" if learned else "its masks and prompts come from it among others"


def _detector(model: TracedModel, data_sets: Sequence[DataSet], digests: Collection[str]) -> Iterator[str]:
    if any(sample["sha256"] in digests for sample in model.samples or ()):
        yield "it was trained on it"
    if told := list(_data_set(data_sets)):
        yield f"it could draw on the pairs of version {model.version}: {', '.join(told)}"
