"""The surface of a part that a defect may lie on."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline_tasks.drawing.fields import Field, Grid

SPOTS_TRIED = 300


@dataclass(frozen=True, slots=True)
class Face:
    """The plain face of a part as the camera sees it. Fields are [H, W], lengths are px."""

    grid: Grid
    clearance: Field
    """Distance to the nearest edge of the face; negative outside it."""
    lamp: tuple[float, float]
    """Unit vector in the image towards the lamp."""
    grain: float
    """Direction of the finish's streaks in the image, radians."""

    def spot(
        self, rng: np.random.Generator, margin: float, half_length: float = 0, angle: float = 0
    ) -> tuple[float, float]:
        """Return a random centre such that a line of `half_length` at `angle` keeps `margin` px from the face's edges.

        Where no spot tried has that much room, it is the roomiest of them.
        """
        rows, columns = rng.integers(0, self.clearance.shape, (SPOTS_TRIED, 2)).T
        x, y, along = self.grid.x[rows, columns], self.grid.y[rows, columns], np.linspace(-half_length, half_length, 9)
        line_x, line_y = np.add.outer(x, along * math.cos(angle)), np.add.outer(y, along * math.sin(angle))
        room = self._clearance_at(line_x, line_y).min(axis=1)
        chosen = int(np.argmax(np.minimum(room, margin)))
        return float(x[chosen]), float(y[chosen])

    def _clearance_at(self, x: Field, y: Field) -> Field:
        first, step = self.grid.x[0, 0], self.grid.x[0, 1] - self.grid.x[0, 0]
        columns, rows = (np.rint((values - first) / step).astype(int) for values in (x, y))
        height, width = self.clearance.shape
        return np.asarray(self.clearance[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)])
