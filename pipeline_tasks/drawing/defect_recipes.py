"""What a recipe of a drawn defect says: the shape of the damaged region, where it lies, and how its inside looks."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveFloat

from pipeline_tasks.drawing.ranges import Count, Range, Shares, Size
from pipeline_tasks.section import Fraction, Section

Colour = Annotated[tuple[Fraction, Fraction, Fraction], Field(strict=False, description="share of R, G, B light taken")]
Unit = Annotated[Literal["px", "side"], Field(description="lengths are px, or shares of the window's side")]

NONE = (0.0, 0.0)


class _Outlined(Section):
    mottled: Annotated[Range, Field(description="px by which islands and bays move the outline")] = NONE
    mottles: Annotated[Size, Field(description="px across of islands and bays")] = (3.0, 10.0)


class Paths(_Outlined):
    """Cracks: a random walk between two ends, which forks."""

    kind: Literal["paths"]
    length: Annotated[Size, Field(description="shares of the window's side")]
    width: Size
    unit: Unit = "px"
    smoothness: Annotated[Range, Field(description="1 is a random walk, 2 a smooth curve")] = (1.0, 1.4)
    wander: Annotated[Size, Field(description="sideways, shares of the length")] = (0.05, 0.3)
    taper: Annotated[Shares, Field(description="width lost towards the ends")] = (0.3, 1.0)
    ragged: Annotated[Shares, Field(description="how uneven the sides are")] = (0.0, 0.6)
    forks: Count = (0, 0)


class Strokes(_Outlined):
    """Scratches and hairs: bundles of curves."""

    kind: Literal["strokes"]
    count: Count = (1, 1)
    length: Annotated[Size, Field(description="shares of the window's side")]
    width: Size
    unit: Unit = "px"
    bend: Annotated[Shares, Field(description="sideways, shares of the length")] = (0.0, 0.1)
    spread: Annotated[Shares, Field(description="between strokes, shares of the side")] = (0.05, 0.3)
    fan: Annotated[Range, Field(description="radians between strokes")] = (0.0, 0.3)
    taper: Shares = (0.2, 1.0)
    breaks: Annotated[Shares, Field(description="how far a stroke is interrupted")] = NONE
    ragged: Shares = NONE


class Blobs(_Outlined):
    """Closed outlines: round, ragged, angular or boxes, alone or in clusters."""

    kind: Literal["blobs"]
    count: Count = (1, 1)
    radius: Size
    unit: Unit = "px"
    smaller: Annotated[Shares, Field(description="how much smaller others of a cluster may be")] = (0.2, 0.6)
    spread: Annotated[Range, Field(description="of a cluster, in radii")] = (2.0, 5.0)
    elongation: Size = (1.0, 1.6)
    rough: Annotated[Range, Field(description="how far the outline strays from an ellipse")] = (0.1, 0.4)
    smoothness: Annotated[Range, Field(description="of the outline: 1 is jagged, 2 is smooth")] = (1.2, 2.0)
    corners: Annotated[Count, Field(description="of an angular outline; fewer than 4: rounded")] = (0, 0)
    boxy: Annotated[Size, Field(description="exponent of a superellipse: 2 is an ellipse, 8 almost a box")] = (2.0, 2.0)


Shape = Annotated[Paths | Strokes | Blobs, Field(discriminator="kind")]


class Grain(Section):
    """The texture of its own that the inside of a defect has."""

    kind: Literal["noise", "ridges", "facets"] = "noise"
    cell: Annotated[Size, Field(description="px across of a grain")] = (1.0, 5.0)
    stretch: Annotated[Size, Field(description="how much longer than wide")] = (1.0, 1.0)
    contrast: Annotated[Range, Field(description="standard deviation, share of the light")] = (0.05, 0.25)


class Look(Section):
    """How light changes inside the shape. Strengths are shares of the light there."""

    fill: Annotated[
        Literal["surface", "beneath", "displaced"],
        Field(description="what the inside is made of: the surface, what lies beneath it, or another part of it"),
    ] = "surface"
    keeps: Annotated[Range, Field(description="how much of the fill's own texture is left")] = (0.3, 1.0)
    dark: Annotated[Shares, Field(description="light that a dark one takes")] = NONE
    bright: Annotated[Range, Field(description="light that a bright one adds")] = NONE
    bright_share: Annotated[Fraction, Field(description="how many are bright")] = 0.0
    soft: Annotated[Range, Field(description="px from the outline to full strength")] = NONE
    colours: list[Colour] = Field([], description="one is drawn; none: any colour")
    tint: Annotated[Shares, Field(description="strength of the colour on surfaces that are not grey")] = NONE
    grains: list[Grain] = Field([], description="one is drawn")
    shading: Annotated[Range, Field(description="large-scale unevenness")] = NONE
    hollow: Annotated[Shares, Field(description="light lost towards the middle")] = NONE
    raised: Annotated[Fraction, Field(description="how many stand out, the others are sunken")] = 0.0
    relief: Annotated[Range, Field(description="light that slopes towards the lamp gain")] = NONE
    slope: Annotated[Shares, Field(description="slopes' width, share of the way inwards")] = (0.3, 0.8)
    rounded: Annotated[bool, Field(description="slopes begin and end gently")] = False
    bumps: Annotated[Range, Field(description="relief of the inside, beside that of its slopes")] = NONE
    rim: Annotated[Range, Field(description="light added along the outline; below 0: taken")] = NONE
    shadow: Annotated[Shares, Field(description="light taken on the side away from the lamp")] = NONE
    gloss: Annotated[Range, Field(description="a highlight, in shares of white")] = NONE


class DefectRecipe(Section):
    """A kind of defect; `weight` is how often it is drawn against the others."""

    weight: PositiveFloat = 1.0
    shape: Shape
    look: Look
    place: Annotated[Literal["part", "edge"], Field(description="where its middle lies")] = "part"
    covers: Annotated[Literal["part", "background", "both"], Field(description="what it may cover")] = "part"


class DefectBook(Section):
    """defects.yaml: recipes by name."""

    defects: Annotated[dict[str, DefectRecipe], Field(min_length=1)]


def count_in(rng: np.random.Generator, bounds: tuple[int, int]) -> int:
    """Draw a whole number from a Count."""
    return bounds[0] if bounds[0] == bounds[1] else int(rng.integers(bounds[0], bounds[1] + 1))
