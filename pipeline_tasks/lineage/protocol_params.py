"""The runs of the pipeline that an evaluation by protocol asks for, and the parameters of each."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.profile import PROFILES
from pipeline_tasks.lineage.protocol_files import (
    PAPER,
    Ablation,
    Changes,
    Pairs,
    Protocol,
    merged,
    named_file,
    read_ablation,
    read_protocol,
)
from pipeline_tasks.params import Params, load_params
from pipeline_tasks.yaml_files import describe, read_yaml

OF_GENERATOR = "generator_"
"""How `evaluate.arms` begins the arms that a generator's pairs are in."""


@dataclass(frozen=True)
class Order:
    """What a person asks for.

    generators: profiles beside the generator of params.yaml. seeds: of the detectors. budget_minutes: for training
    detectors, all together; 0 = no limit. changes: 'section.key=value', over everything but an ablation.
    """

    protocol: str
    generators: Sequence[str] = ()
    ablations: Sequence[str] = ()
    seeds: int | None = None
    budget_minutes: float = 0.0
    paper_budget: bool = False
    changes: Sequence[str] = ()


@dataclass(frozen=True)
class Variant:
    """One run of the pipeline: all arms with the generator of params.yaml (name ''), or another generator's alone."""

    name: str
    params: Params

    @property
    def generator(self) -> str:
        """The backend's name, as it begins the names of its arms."""
        return self.params.backend.name


@dataclass(frozen=True)
class Experiment:
    """An order with all files that it names. profiles: '' for params.yaml as it is, then those ordered."""

    order: Order
    protocol: Protocol
    values: Mapping[str, Any]
    profiles: Mapping[str, Changes]
    ablations: Mapping[str, Ablation]
    paper: Changes
    changes: Changes

    @classmethod
    def read(cls, root: Path, order: Order) -> "Experiment":
        """Read what `order` names from the repository at `root`.

        Raises ConfigError for what is unknown, not well-formed or not valid together.
        """
        load_params(root / "params.yaml")
        protocol = read_protocol(root, order.protocol)
        files = {name: named_file(root, PROFILES, name, "profile") for name in order.generators}
        found = cls(
            order,
            protocol,
            read_yaml(root / "params.yaml", "restore it"),
            {"": {}, **{name: read_yaml(file, "name another") for name, file in files.items()}},
            {name: read_ablation(root, name) for name in order.ablations},
            merged(read_yaml(root / PAPER, "restore it"), protocol.paper) if order.paper_budget else {},
            reduce(merged, map(read_change, order.changes), {}),
        )
        found.variants(0, {})
        return found

    def variants(self, draw: int, pairs: Changes) -> list[Variant]:
        """Return the runs of one draw; `pairs` says how many are made.

        Raises ConfigError for an ablation of none of the generators, or for wrong parameters.
        """
        whole = {name: self._values(name, draw, pairs) for name in self.profiles}
        found = {name: _generator_alone(values) if name else values for name, values in whole.items()}
        for name, ablation in self.ablations.items():
            fitting = {maker: v for maker, v in whole.items() if v["backend"]["name"] in ablation.generators}
            if not fitting:
                raise ConfigError(_misfit(name, ablation, whole.values()))
            for maker, values in fitting.items():
                found[f"{maker}, {name}" if maker else name] = merged(_generator_alone(values), ablation.set)
        return [Variant(name, _params(name, values)) for name, values in found.items()]

    def _values(self, name: str, draw: int, pairs: Changes) -> dict[str, Any]:
        """Return the parameters of a profile's generator with all arms; later changes win."""
        seeds = {} if self.order.seeds is None else {"evaluate": {"seeds": list(range(self.order.seeds))}}
        whole = {"zero_shot": [], "choose": {"budget_minutes": 0.0}, "evaluate": {"budget_minutes": 0.0}}
        layers = [self.profiles[name], self.protocol.set, self.paper, whole, pairs, seeds, self.changes]
        values = reduce(merged, layers, self.values)
        _params(name, values)  # what is wrong is told before anything is looked up in it
        section, key = self.protocol.varies.split(".")
        return merged(values, {section: {key: values[section][key] + draw}})


def read_change(text: str) -> Changes:
    """Return 'section.key=value', where the value is YAML, as a change. Raises ConfigError for another text."""
    from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml

    keys, sign, value = text.partition("=")
    if not sign or not all(keys.split(".")):
        raise ConfigError(f"--set {text}: write it as section.key=value, for example train.steps=100")
    try:
        parsed = parse_yaml(f"value: {value}", "--set")["value"]
    except YAMLFileCorruptedError as error:
        raise ConfigError(f"--set {text}: '{value}' is not YAML") from error
    return reduce(lambda inner, key: {key: inner}, reversed(keys.split(".")), parsed)


def pairs_changes(pairs: Pairs | None, defects: int, real_images: int) -> Changes:
    """Return what makes so many pairs of a product with so many defects and, in base, images of them."""
    if pairs is None:
        return {}
    total = {"defect": defects, "product": 1, "real image": real_images}[pairs.per] * pairs.count
    per_arm = {"pairs_per_arm": total}
    return {"masks": {"pairs_per_defect": math.ceil(total / defects)}, "choose": per_arm, "evaluate": per_arm}


def within(variants: Sequence[Variant], budget_minutes: float) -> list[Variant]:
    """Return the runs with the minutes shared out among their choices and evaluations; 0 = no limit.

    Each has its share by the number of detectors that it would train.
    """
    counts = {variant.name: (_choice_trainings(variant.params), _trainings(variant.params)) for variant in variants}
    whole = sum(map(sum, counts.values()))
    return [_limited(variant, [budget_minutes * n / whole for n in counts[variant.name]]) for variant in variants]


def _choice_trainings(params: Params) -> int:
    return len(params.choose.arms) * params.choose.folds * params.choose.repeats


def _trainings(params: Params) -> int:
    """Return how many detectors are trained to be tested: of every arm and of what was chosen."""
    return (len(params.evaluate.arms) + 1) * len(params.evaluate.seeds) * len(params.evaluate.detectors)


def _limited(variant: Variant, minutes: Sequence[float]) -> Variant:
    if not any(minutes):
        return variant
    choose, evaluate = ({"budget_minutes": round(share, 3)} for share in minutes)
    own = variant.params
    limited = own.model_copy(
        update={"choose": own.choose.model_copy(update=choose), "evaluate": own.evaluate.model_copy(update=evaluate)}
    )
    return replace(variant, params=limited)


def _generator_alone(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters that compare a generator's arms with the incumbent and choose nothing."""
    own = [arm for arm in values["evaluate"]["arms"] if arm.startswith(OF_GENERATOR)]
    return merged(values, {"choose": {"arms": [INCUMBENT]}, "evaluate": {"arms": [INCUMBENT, *own]}})


def _params(name: str, values: Mapping[str, Any]) -> Params:
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        source = Path(f"params.yaml, changed for {name or 'the protocol'}")
        raise ConfigError(describe(source, error)) from error


def _misfit(name: str, ablation: Ablation, given: Iterable[Mapping[str, Any]]) -> str:
    here = ", ".join(dict.fromkeys(values["backend"]["name"] for values in given))
    return (
        f"the ablation '{name}' is of {' or '.join(ablation.generators)}, and the generator here is {here}; "
        "add one that it fits with --generator PROFILE"
    )
