"""prior/params.yaml as frozen models. The file holds the only values: no defaults are set here."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.section import Device, NonNegativeInt, Precision, Section, Threads, UNetWidth
from pipeline_tasks.yaml_files import describe, read_yaml


class Look(Section):
    """The sheet that shows people what the prior learns from."""

    scenes: PositiveInt
    columns: PositiveInt


class Blocks(Section):
    """How scenes make a step: `batch_size` windows, or, of twice the side, a quarter of them."""

    window_px: Annotated[int, Field(ge=32, multiple_of=16, description="side of a scene")]
    batch_size: Annotated[int, Field(ge=4, multiple_of=4)]
    wide_every: Annotated[PositiveInt, Field(description="every so many-th step has scenes of twice the side")]


class PriorTrain(Section):
    """The prior's training."""

    threads: Threads
    workers: Annotated[NonNegativeInt, Field(description="processes that draw scenes ahead; 0 = the training's own")]
    channels: Annotated[list[UNetWidth], Field(min_length=2, max_length=4, description="as train.inpainting.channels")]
    steps: PositiveInt
    blocks: Blocks
    learning_rate: PositiveFloat
    ema_decay: Annotated[float, Field(ge=0, lt=1, description="0 = the last weights as they are")]
    checkpoint_every_steps: PositiveInt
    device: Device
    precision: Precision


class Measure(Section):
    """What is measured of the prior, on scenes that it has not seen."""

    threads: Threads
    scenes: PositiveInt
    wide_every: Annotated[PositiveInt, Field(description="every so many-th scene has twice the side")]
    device: Device
    precision: Precision


class PriorParams(Section):
    """The whole of prior/params.yaml."""

    seed: NonNegativeInt
    look: Look
    train: PriorTrain
    measure: Measure


def load_params(path: Path = Path("params.yaml")) -> PriorParams:
    """Read and check prior/params.yaml. Raises ConfigError naming the file and every offending key."""
    try:
        return PriorParams.model_validate(read_yaml(path, "run this in the folder prior/"))
    except ValidationError as error:
        raise ConfigError(describe(path, error)) from error
