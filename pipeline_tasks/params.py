"""params.yaml as frozen models, one class per section. The file holds the only values: no defaults are set here."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from pipeline_tasks.errors import ConfigError

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
UNetWidth = Annotated[int, Field(gt=0, multiple_of=8)]
Threads = Annotated[PositiveInt, Field(description="CPU threads")]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]


class Section(BaseModel):
    """A section of params.yaml: immutable; unknown keys, values of another type, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Run(Section):
    """What every stage shares."""

    seed: NonNegativeInt


class Ingest(Section):
    """Splits of real defect images, by name (METHODS section 5: few-shot-10, deepcrack-localization)."""

    base_fraction: Annotated[float, Field(gt=0, lt=1, description="share of a defect's images in the base split")]
    base_max: Annotated[PositiveInt, Field(le=30, description="most base images per defect; few-shot means <= 30")]
    max_megapixels: Annotated[
        PositiveFloat, Field(le=178, description="larger images are set aside; Pillow's limit: 178")
    ]


class Prompts(Section):
    """Text prompts (CAGen section 4)."""

    kind: Literal["template"]
    template: Annotated[str, Field(pattern=r"\{defect\}", description="may use {defect} and {product}")]


class Train(Section):
    """The inpainting generator's training (METHODS section 3a)."""

    backend: Literal["inpainting"]
    threads: Threads
    steps: PositiveInt
    batch_size: PositiveInt
    window_px: Annotated[int, Field(ge=32, multiple_of=16, description="side of the square training windows")]
    learning_rate: PositiveFloat
    channels: Annotated[list[UNetWidth], Field(min_length=2, max_length=4, description="UNet widths, multiples of 8")]
    normal_fraction: Annotated[Fraction, Field(description="share of windows from normal images")]
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    dilation_px: Annotated[NonNegativeInt, Field(description="how far the noised hole exceeds the mask")]
    checkpoint_every_steps: PositiveInt
    device: Device
    precision: Precision


class Masks(Section):
    """New masks from real ones (METHODS section 2; DefectSynth section III-C)."""

    pairs_per_defect: PositiveInt
    interpolated_fraction: Annotated[Fraction, Field(description="share of masks interpolated between two real ones")]
    rotation_degrees: Annotated[float, Field(ge=0, le=180, description="largest rotation, either way")]
    scale_min: PositiveFloat
    scale_max: PositiveFloat
    flip: bool
    placement_spread: Annotated[Fraction, Field(description="0 = as seen in base masks, 1 = anywhere on the object")]
    attempts: Annotated[PositiveInt, Field(description="placements tried per pair before it is refused and counted")]

    @model_validator(mode="after")
    def _scales_in_order(self) -> "Masks":
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min ({self.scale_min}) must not exceed scale_max ({self.scale_max})")
        return self


class Generate(Section):
    """Pairs from masks and normal images (METHODS section 4)."""

    threads: Threads
    backend: Literal["inpainting", "paste"]
    steps: Annotated[PositiveInt, Field(description="Euler steps of the flow")]
    batch_size: Annotated[PositiveInt, Field(description="windows sampled together; does not change the pairs")]
    dilation_px: Annotated[NonNegativeInt, Field(description="how far beyond the mask pixels may change")]
    feather_px: Annotated[NonNegativeInt, Field(description="width of the soft edge of the composite")]
    severity: Annotated[PositiveFloat, Field(description="scales the defect's contrast; 1 = as seen")]
    shard_pairs: Annotated[PositiveInt, Field(description="pairs per Parquet shard, the unit of resuming")]
    device: Device
    precision: Precision

    @model_validator(mode="after")
    def _feather_inside_dilation(self) -> "Generate":
        if self.feather_px > self.dilation_px:
            raise ValueError(f"feather_px ({self.feather_px}) must not exceed dilation_px ({self.dilation_px})")
        return self


class Validate(Section):
    """Thresholds of the quality gate."""

    min_pairs_fraction: Annotated[Fraction, Field(description="made / asked pairs per defect; below it: warning")]
    min_visible_fraction: Annotated[Fraction, Field(description="share of pairs that must show their defect")]
    min_change_inside: Annotated[float, Field(ge=0, description="mean change in a visible defect's mask, grey levels")]
    area_slack: Annotated[float, Field(ge=1, description="mask area may leave the base set's range by this factor")]
    min_distinct_normals: PositiveInt


class Evaluate(Section):
    """A small U-Net detector per arm, equal optimiser steps (METHODS section 5, budget `equal-steps`)."""

    threads: Threads
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    steps: PositiveInt
    batch_size: PositiveInt
    window_px: Annotated[int, Field(ge=32, multiple_of=16)]
    learning_rate: PositiveFloat
    features: Annotated[list[PositiveInt], Field(min_length=5, max_length=5, description="U-Net widths, finest first")]
    max_image_px: Annotated[int, Field(ge=64, description="larger images are scaled down to this longest side")]
    synthetic_fraction: Annotated[Fraction, Field(description="synthetic share of the defect windows of a batch")]
    pairs_per_arm: Annotated[PositiveInt, Field(description="most pairs an arm learns from, spread over the defects")]
    device: Device


class Register(Section):
    """Publication of a refreshed version."""

    experiment: Annotated[str, Field(min_length=1, description="MLflow experiment")]
    git_commit: Annotated[bool, Field(description="commit dvc.lock and catalog.yaml after a refresh")]
    sample_pairs: Annotated[PositiveInt, Field(description="pairs per defect shown in the report")]


class Params(Section):
    """The whole of params.yaml."""

    run: Run
    ingest: Ingest
    prompts: Prompts
    train: Train
    masks: Masks
    generate: Generate
    validate_: Annotated[Validate, Field(alias="validate")]
    evaluate: Evaluate
    register_: Annotated[Register, Field(alias="register")]


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as a number, as DVC does; PyYAML alone, which follows YAML 1.1, takes it for text."""


class _Dumper(yaml.SafeDumper):
    """Quotes text that starts with a digit: YAML 1.1 and 1.2 (DVC) differ over what 0893, 1_000 or 1e-3 are."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if re.match(r"[-+.]?\d", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), [*"-+0123456789"]
)


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml. Raises ConfigError naming the file and every offending key."""
    try:
        return Params.model_validate(read_yaml(path, "run defectline in the folder that holds params.yaml"))
    except ValidationError as error:
        raise ConfigError(describe(path, error)) from error


def read_yaml(path: Path, if_missing: str) -> Any:
    """Read a YAML file. Raises ConfigError saying what to do `if_missing`, or in which line it is not YAML."""
    try:
        with path.open("rb") as stream:
            return yaml.load(stream, _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: missing; {if_missing}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def to_yaml(value: Any) -> str:
    """Return `value` as YAML that `read_yaml` and DVC read alike."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120)


def describe(source: Path, error: ValidationError) -> str:
    """Return one line naming `source`, each wrong key and what is wrong with it."""
    return f"{source}: " + "; ".join(_complaint(**problem) for problem in error.errors(include_url=False))


def _complaint(*, loc: tuple[int | str, ...], type: str, msg: str, input: Any, **_: Any) -> str:
    key = ".".join(str(part) for part in loc if part != "[key]") or "the file"
    match type:
        case "extra_forbidden":
            reason = "unknown key, correct or remove it"
        case "missing":
            reason = "missing, add it"
        case "model_type" | "dict_type":
            reason = f"should hold keys with values, found {input!r}"
        case "value_error":
            reason = msg.removeprefix("Value error, ")
        case _:
            reason = f"{msg}, found {input!r}"
    return f"{key}: {reason}"
