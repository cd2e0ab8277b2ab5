"""Ranges that the drawn world's YAML gives as [low, high], and draws from them. Write defaults as tuples."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Annotated, TypeVar

import numpy as np
from pydantic import AfterValidator, Field, PositiveFloat

from pipeline_tasks.section import Fraction, NonNegativeInt

Bounds = TypeVar("Bounds", bound=Sequence[float])


def check_order(bounds: Bounds) -> Bounds:
    """Return `bounds`. Raises ValueError if the lower one is above the upper one."""
    if bounds[0] > bounds[1]:
        raise ValueError(f"the lower bound {bounds[0]} is above the upper bound {bounds[1]}")
    return bounds


_PAIR = Field(strict=False)  # YAML has lists, no tuples

Range = Annotated[tuple[float, float], _PAIR, AfterValidator(check_order)]
"""A value is drawn evenly from between them."""
Size = Annotated[tuple[PositiveFloat, PositiveFloat], _PAIR, AfterValidator(check_order)]
"""Both are above 0: a value's logarithm is drawn evenly from between theirs."""
Shares = Annotated[tuple[Fraction, Fraction], _PAIR, AfterValidator(check_order)]
"""Both are in 0..1: a value is drawn evenly from between them."""
Count = Annotated[tuple[NonNegativeInt, NonNegativeInt], _PAIR, AfterValidator(check_order)]
"""Whole numbers, both of which may be drawn."""


def between(rng: np.random.Generator, bounds: Sequence[float]) -> float:
    """Return a uniform draw from `bounds`, low and high."""
    return bounds[0] + (bounds[1] - bounds[0]) * rng.random()


def log_between(rng: np.random.Generator, bounds: Sequence[float]) -> float:
    """Return a draw from `bounds`, low and high above 0, uniform in its logarithm."""
    return bounds[0] * math.exp(rng.random() * math.log(bounds[1] / bounds[0]))


def chosen(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """Return one of the names, as often as its weight, above 0, says."""
    mark = rng.random() * sum(weights.values())
    return next(name for name, end in zip(weights, accumulate(weights.values()), strict=True) if mark < end)
