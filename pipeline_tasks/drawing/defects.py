"""Defects as relative changes of the reflected light. A new defect is a function and a line in DEFECTS."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline_tasks.drawing.face import Face
from pipeline_tasks.drawing.fields import Field, ramp, ridge, smooth_noise


@dataclass(frozen=True, slots=True)
class Severity:
    """How grave a defect is: factors on its lengths and on the light it adds or takes."""

    name: str
    size: float
    contrast: float


SEVERITIES = (
    Severity("light", size=0.7, contrast=0.5),
    Severity("moderate", size=1.0, contrast=0.75),
    Severity("severe", size=1.4, contrast=1.0),
)

Defect = Callable[[np.random.Generator, Face, Severity], Field]
"""Draws the change of light, [H, W, 3]: 0 = untouched, -1 = all light taken, +1 = twice the light."""

RUST, COOLANT = (0.20, 0.39, 0.57), (0.40, 0.34, 0.31)
"""Share of R, G, B light that a full stain takes."""


def scratch(rng: np.random.Generator, face: Face, severity: Severity) -> Field:
    """Draw a thin, slightly bowed groove across the grain: one edge catches the lamp, the other lies in shade."""
    half_length, width = severity.size * rng.uniform(24, 36), severity.size**0.5 * rng.uniform(0.5, 0.65)
    angle = face.grain + math.radians(rng.choice((-1.0, 1.0)) * rng.uniform(20, 90))
    bow, waver = rng.uniform(-0.12, 0.12) * half_length, rng.uniform(-0.6, 0.6)
    here = face.grid.posed(face.spot(rng, 4, half_length, angle), angle)
    along = here.x / half_length
    across = here.y - bow * (1 - along**2) - waver * np.sin(5 * along)
    lit = -width if face.lamp[1] * math.cos(angle) > face.lamp[0] * math.sin(angle) else width
    edges = ridge(across, lit, 0.8 * width) - 0.7 * ridge(across, -lit, 0.8 * width)
    unsteady = 0.9 + 0.25 * smooth_noise(rng, here, 8) + 0.2 * smooth_noise(rng, here, 2)
    return _grey(severity.contrast * ramp(1 - np.abs(along), 0, 0.4) * unsteady * edges)


def pit(rng: np.random.Generator, face: Face, severity: Severity) -> Field:
    """Draw blowholes, one or a cluster: dark cavities whose rim shines on the side away from the lamp."""
    count, radius = int(rng.choice((1, 1, 3, 4, 5))), severity.size * rng.uniform(3.0, 4.2)
    spread = 0.0 if count == 1 else 4.2 * radius
    x, y = face.spot(rng, spread + 1.5 * radius)
    change = _cavity(rng, face, (x, y), radius)
    for _ in range(count - 1):
        reach, turn = spread * rng.uniform(0.5, 1), rng.uniform(0, 2 * np.pi)
        centre = x + reach * math.cos(turn), y + reach * math.sin(turn)
        cavity = _cavity(rng, face, centre, radius * rng.uniform(0.45, 0.75))
        change = np.where(np.abs(cavity) > np.abs(change), cavity, change)
    return _grey(severity.contrast * change)


def _cavity(rng: np.random.Generator, face: Face, centre: tuple[float, float], radius: float) -> Field:
    upright, turned = face.grid.posed(centre, 0), face.grid.posed(centre, rng.uniform(0, np.pi))
    outline = np.hypot(turned.x, turned.y / rng.uniform(0.75, 1)) - radius
    outline += 0.22 * radius * smooth_noise(rng, turned, 1.2 * radius)
    towards = (upright.x * face.lamp[0] + upright.y * face.lamp[1]) / (np.hypot(upright.x, upright.y) + 1e-3)
    depth = ramp(outline, 0.5, -0.45 * radius - 0.5) * (0.9 + 0.2 * towards)
    rim = min(0.6, 0.16 * radius) * ridge(outline, 0.7, 0.7) * np.clip(0.25 - 0.75 * towards, 0, 1)
    return np.asarray(rim - depth, np.float32)


def stain(rng: np.random.Generator, face: Face, severity: Severity) -> Field:
    """Draw a dried film of coolant or rust: pools run together, soft-edged, darker along the tide line."""
    radius, tint = severity.size * rng.uniform(13, 17), (RUST, COOLANT)[rng.integers(2)]
    here = face.grid.posed(face.spot(rng, 1.1 * radius), rng.uniform(0, 2 * np.pi))
    pools = np.zeros_like(here.x)
    for _ in range(5):
        x, y, width = (radius * rng.uniform((-0.85, -0.5, 0.25), (0.85, 0.5, 0.42))).tolist()
        pools += ridge(np.hypot(here.x - x, here.y - y), 0, width)
    depth = pools - 0.32 + 0.12 * smooth_noise(rng, here, 0.35 * radius) + 0.06 * smooth_noise(rng, here, 3)
    film = ramp(depth, 0, 0.6) * (0.8 + 0.2 * smooth_noise(rng, here, 0.4 * radius)) + 0.3 * ridge(depth, 0.2, 0.09)
    return np.asarray(-severity.contrast * film[..., None] * np.array(tint, np.float32), np.float32)


def _grey(change: Field) -> Field:
    return np.repeat(np.asarray(change, np.float32)[..., None], 3, axis=2)


DEFECTS: dict[str, Defect] = {"scratch": scratch, "pit": pit, "stain": stain}
