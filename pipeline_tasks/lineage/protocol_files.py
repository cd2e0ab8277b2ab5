"""Protocols and ablations as data: YAML files in profiles/ that say what they change in params.yaml (METHODS 5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, PositiveInt, ValidationError

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.profile import PROFILES
from pipeline_tasks.section import Section
from pipeline_tasks.yaml_files import describe, read_yaml

PROTOCOLS = PROFILES / "protocols"
ABLATIONS = PROFILES / "ablations"
PAPER = PROFILES / "budgets" / "paper.yaml"
"""The papers' budgets, whatever the protocol."""
Changes = dict[str, Any]
"""Values of params.yaml by section and key; None in a list leaves the value in its place as it is."""


class Pairs(Section):
    """How many pairs are made: `count` for each defect, product or real image of base."""

    count: PositiveInt
    per: Literal["defect", "product", "real image"]


class Protocol(Section):
    """An evaluation as a paper makes it."""

    about: Annotated[str, Field(min_length=1, description="the paper's section, and what is done")]
    draws: Annotated[PositiveInt, Field(description="times the whole is done, counting `varies` up")]
    varies: Literal["ingest.draw", "run.seed"]
    until: Annotated[Literal["evaluate", "generate"], Field(description="the last stage; generate: time is the result")]
    pairs: Annotated[Pairs | None, Field(description="null: as in params.yaml")]
    set: Changes
    paper: Annotated[Changes, Field(description="the paper's own budget, over profiles/budgets/paper.yaml")]


class Ablation(Section):
    """What a generator is without one of its parts."""

    about: Annotated[str, Field(min_length=1)]
    generators: Annotated[list[Literal["inpainting", "controlnet", "dit", "paste"]], Field(min_length=1)]
    set: Changes


Kind = TypeVar("Kind", bound=Section)


def read_protocol(root: Path, name: str) -> Protocol:
    """Return the protocol called `name`. Raises ConfigError naming those there are, or what is wrong with its file."""
    return _checked(named_file(root, PROTOCOLS, name, "protocol"), Protocol)


def read_ablation(root: Path, name: str) -> Ablation:
    """Return the ablation called `name`. Raises ConfigError as `read_protocol` does."""
    return _checked(named_file(root, ABLATIONS, name, "ablation"), Ablation)


def named_file(root: Path, folder: Path, name: str, kind: str) -> Path:
    """Return the YAML file called `name` in a folder below `root`. Raises ConfigError naming those there are."""
    known = sorted(path.stem for path in (root / folder).glob("*.yaml"))
    if name not in known:
        raise ConfigError(f"no {kind} '{name}'; there are {', '.join(known) or 'none'} (in {folder}/)")
    return root / folder / f"{name}.yaml"


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `changes` in them, key by key; see Changes."""
    return dict(values) | {key: _changed(values.get(key), new) for key, new in changes.items()}


def _changed(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return merged(old, new)
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [before if after is None else after for before, after in zip(old, new, strict=True)]
    return new


def _checked(path: Path, kind: type[Kind]) -> Kind:
    try:
        return kind.model_validate(read_yaml(path, "name another"))
    except ValidationError as error:
        raise ConfigError(describe(path, error)) from error
