"""A machined plate on a dark fixture: its geometry, and the light it sends to the camera without any defect."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline_tasks.drawing.face import Face
from pipeline_tasks.drawing.fields import Field, Grid, mix, pixel_grid, ramp, ridge, rounded_box, smooth_noise
from pipeline_tasks.drawing.textures import TEXTURES

SIDE_PX = 256
SAMPLES_PER_PX = 2
"""The scene is sampled finer than the image, so that edges and thin lines come out smooth."""

HALF_WIDTH, HALF_HEIGHT, CORNER_RADIUS, CHAMFER = 104.0, 82.0, 16.0, 2.6
BORE_RADIUS, SPOTFACE_RADIUS = 23.0, 33.0
BOLT_RADIUS, BOLT_X, BOLT_Y = 7.5, 82.0, 60.0
STEEL, FIXTURE = np.array([150, 154, 158], np.float32), np.array([21, 22, 25], np.float32)
"""Light of a flat patch under the lamp, R, G, B in grey levels."""


@dataclass(frozen=True, slots=True)
class Plate:
    """A good plate under the lamp, and the face that may carry a defect."""

    light: Field
    """What the camera receives, [H, W, 3] in grey levels."""
    face: Face


def machine_plate(rng: np.random.Generator) -> Plate:
    """Draw one good plate: every plate has its own finish, pose and lighting within the line's tolerances."""
    view, tilt = pixel_grid(SIDE_PX, SAMPLES_PER_PX), rng.normal(0, math.radians(1.2))
    part = view.posed((rng.normal(0, 2.2), rng.normal(0, 2.2)), tilt)
    lamp_angle = math.radians(-125) + rng.normal(0, math.radians(5))
    lamp = (math.cos(lamp_angle), math.sin(lamp_angle))
    holes = _holes(part)
    body = np.maximum(rounded_box(part, HALF_WIDTH, HALF_HEIGHT, CORNER_RADIUS), -holes)
    facing = _facing(body, lamp)
    in_hole, in_metal = ramp(holes, 0.4, -0.4), ramp(body, 0.4, -0.4)
    steel = mix(in_hole * _wall(holes, facing), _metal(rng, part, body, facing, lamp), in_metal)
    fixture = (1 - in_metal) * mix(_bed(rng, view, body, facing), 0.45, in_hole)
    light = (steel[..., None] * STEEL + fixture[..., None] * FIXTURE) * _illumination(rng, view, lamp)[..., None]
    return Plate(light, Face(view, -body - np.float32(CHAMFER), lamp, grain=tilt))


def _holes(part: Grid) -> Field:
    """Return the signed distance to the bore and the bolt holes: negative inside them."""
    bolts = np.hypot(np.abs(part.x) - BOLT_X, np.abs(part.y) - BOLT_Y) - BOLT_RADIUS
    return np.asarray(np.minimum(bolts, np.hypot(part.x, part.y) - BORE_RADIUS), np.float32)


def _facing(body: Field, lamp: tuple[float, float]) -> Field:
    """Return how far the edges of `body`, a signed distance, face the lamp: -1 turned away .. 1 towards it."""
    down, right = np.gradient(body, 1 / SAMPLES_PER_PX)
    return np.asarray(right * lamp[0] + down * lamp[1], np.float32)


def _metal(rng: np.random.Generator, part: Grid, body: Field, facing: Field, lamp: tuple[float, float]) -> Field:
    """Return the brightness of the metal as if it were everywhere: brushed face, turned spotface, chamfers."""
    radius, around = np.hypot(part.x, part.y), np.arctan2(part.y, part.x)
    grain = TEXTURES["brushed"](rng, part)
    brushed = 1 + 0.045 * grain + 0.05 * smooth_noise(rng, part, 70) + 0.16 * ridge(part.x, rng.normal(-25, 12), 45)
    glint = np.asarray(np.cos(2 * (around - math.atan2(lamp[1], lamp[0]))), np.float32)
    turned = 0.93 + 0.06 * TEXTURES["turned"](rng, part) + 0.13 * glint
    face = mix(brushed, turned, ramp(radius, SPOTFACE_RADIUS + 0.4, SPOTFACE_RADIUS - 0.4))
    face *= 1 - 0.45 * ridge(radius, SPOTFACE_RADIUS, 0.6)
    return mix(0.8 + 0.62 * facing, face, ramp(-body, CHAMFER - 0.4, CHAMFER + 0.4))


def _wall(holes: Field, facing: Field) -> Field:
    """Return the brightness of the holes' walls: lit where they face the lamp, lost in the dark further down."""
    return np.asarray(ramp(holes, -4, 0) * (0.12 + 0.4 * np.clip(facing, 0, 1)), np.float32)


def _bed(rng: np.random.Generator, view: Grid, body: Field, facing: Field) -> Field:
    """Return the brightness of the fixture: matt, in the plate's shade on the side away from the lamp."""
    shade = 1 - 0.65 * ramp(facing, 0.3, -1) * ramp(body, 14, 0)
    return np.asarray((1 + 0.12 * smooth_noise(rng, view, 40)) * shade, np.float32)


def _illumination(rng: np.random.Generator, view: Grid, lamp: tuple[float, float]) -> Field:
    """Return the lamp's gain over the image: brighter towards the lamp, darker in the lens's corners."""
    towards = (view.x * lamp[0] + view.y * lamp[1]) / (SIDE_PX / 2)
    corners = (view.x**2 + view.y**2) / (SIDE_PX / 2) ** 2
    gain = rng.normal(1, 0.035) * (1 + rng.normal(0.11, 0.02) * towards - 0.09 * corners)
    return np.asarray(gain, np.float32)
