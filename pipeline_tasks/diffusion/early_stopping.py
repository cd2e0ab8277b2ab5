"""Ending a training when it no longer gets better on what it does not learn from (Prechelt 1998)."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EarlyStopping:
    """Measures the averaged weights every so many steps; over once the last `patience` measures were no better.

    measure: returns a loss, the same for the same weights.
    """

    every_steps: int
    patience: int
    measure: Callable[[], float]

    def is_due(self, steps: int) -> bool:
        """Tell whether weights are measured after so many steps."""
        return steps % self.every_steps == 0

    def is_over(self, losses: list[float]) -> bool:
        """Tell whether the lowest of the losses measured so far is `patience` measures old."""
        return len(losses) - 1 - losses.index(min(losses)) >= self.patience
