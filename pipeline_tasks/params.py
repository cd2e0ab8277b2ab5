"""params.yaml as frozen models, one class per section. The file holds the only values: no defaults are set here."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from pipeline_tasks.errors import ConfigError

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]


class Section(BaseModel):
    """A section of params.yaml: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Run(Section):
    """What every stage shares."""

    seed: NonNegativeInt
    threads: Annotated[PositiveInt, Field(description="CPU threads of a stage")]


class Ingest(Section):
    """Splits of real defect images, by name (METHODS section 5: few-shot-10, deepcrack-localization)."""

    base_fraction: Annotated[float, Field(gt=0, lt=1, description="share of a defect's images in the base split")]
    base_max: Annotated[PositiveInt, Field(le=30, description="most base images per defect; few-shot means <= 30")]
    max_megapixels: Annotated[PositiveFloat, Field(description="larger images are set aside unread")]


class Prompts(Section):
    """Text prompts (CAGen section 4)."""

    kind: Literal["template"]
    template: Annotated[str, Field(pattern=r"\{defect\}", description="may use {defect} and {product}")]


class Train(Section):
    """The inpainting generator's training (METHODS section 3a)."""

    backend: Literal["inpainting"]
    steps: PositiveInt
    batch_size: PositiveInt
    window_px: Annotated[int, Field(ge=32, multiple_of=16, description="side of the square training windows")]
    learning_rate: PositiveFloat
    channels: Annotated[list[PositiveInt], Field(min_length=2, max_length=4, description="UNet widths, multiples of 8")]
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
    placement_spread: Annotated[Fraction, Field(description="0 = as seen in the base masks, 1 = anywhere on the object")]
    attempts: Annotated[PositiveInt, Field(description="placements tried per pair before it is refused and counted")]

    @model_validator(mode="after")
    def _scales_in_order(self) -> "Masks":
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min ({self.scale_min}) must not exceed scale_max ({self.scale_max})")
        return self


class Generate(Section):
    """Pairs from masks and normal images (METHODS section 4)."""

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
    min_change_inside: Annotated[float, Field(ge=0, description="mean change in the mask that counts as visible, grey levels")]
    area_slack: Annotated[float, Field(ge=1, description="mask area may leave the base set's range by this factor")]
    min_distinct_normals: PositiveInt


class Evaluate(Section):
    """A small U-Net detector per arm, equal optimiser steps (METHODS section 5, budget `equal-steps`)."""

    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    steps: PositiveInt
    batch_size: PositiveInt
    window_px: Annotated[int, Field(ge=32, multiple_of=16)]
    learning_rate: PositiveFloat
    features: Annotated[list[PositiveInt], Field(min_length=2, max_length=5, description="U-Net widths")]
    max_image_px: Annotated[int, Field(ge=64, description="larger images are scaled down to this longest side")]
    synthetic_fraction: Annotated[Fraction, Field(description="share of synthetic windows among the defect windows of a batch")]
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


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml. Raises ConfigError naming the file and every offending key."""
    try:
        values = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: missing; run defectline in the folder that holds params.yaml") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise ConfigError(describe(path, error)) from error


def describe(path: Path, error: ValidationError) -> str:
    """Return one message naming the file and each wrong key with its reason."""
    lines = [f"{'.'.join(map(str, e['loc'])) or '(top level)'}: {e['msg']}" for e in error.errors(include_url=False)]
    return f"{path}: " + "; ".join(lines) + ". Correct or remove these keys."
