"""Recipes of clean surfaces, their lighting and the camera: what textures.yaml may say. Lengths are px at zoom 1."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline_tasks.drawing.ranges import Range, Size
from pipeline_tasks.section import Fraction, Section


class _Layer(Section):
    weight: Annotated[Range, Field(description="how much it counts among the layers")]
    relief: Annotated[bool, Field(description="a height that the lamp shades, instead of a tone")] = False


class Noise(_Layer):
    """Isotropic noise, summed over octaves of half the size and 0.6 of the strength each; none is finer than 0.7 px."""

    kind: Literal["noise"]
    cell: Annotated[Size, Field(description="size of the largest bumps")]
    octaves: Annotated[PositiveInt, Field(le=5)]


class Streaks(_Layer):
    """Noise drawn out along the grain."""

    kind: Literal["streaks"]
    length: Size
    width: Size


class Bands(_Layer):
    """Stripes along the grain, of random or regular tone, that wander: wood, ground and milled faces."""

    kind: Literal["bands"]
    width: Size
    regular: Annotated[Range, Field(description="0: random tones, 1: a sine")]
    warp: Annotated[Range, Field(description="how far the stripes wander")]


class Rings(_Layer):
    """Marks of a tool around a centre inside or outside the window: turned and face-milled metal."""

    kind: Literal["rings"]
    feed: Annotated[Size, Field(description="distance from mark to mark")]
    regular: Range
    reach: Annotated[Size, Field(description="distance of the centre, in windows")]


class Cells(_Layer):
    """Cells around random points: leather, aggregate, tiles, carpet."""

    kind: Literal["cells"]
    size: Size
    jitter: Annotated[Range, Field(description="0: a square lattice, 1: at random")]
    look: Annotated[Literal["groove", "dome", "tone"], Field(description="lines between, bumps, or a tone each")]
    line: Annotated[Size, Field(description="width of the lines between cells")] = (1.0, 1.0)


class Weave(_Layer):
    """Threads over and under each other."""

    kind: Literal["weave"]
    thread: Size
    repeat: Annotated[list[PositiveInt], Field(min_length=1, description="2: plain, 3 and more: twill, satin")]
    uneven: Annotated[Range, Field(description="how much the tone differs from thread to thread")]


class Grating(_Layer):
    """A regular wave along one axis, or along both: knurls, grilles, printed patterns."""

    kind: Literal["grating"]
    period: Size
    sharpness: Annotated[Size, Field(description="1: a sine; 10: bars with steep sides")]
    crossed: Fraction


class Dots(_Layer):
    """Equal dots on a regular lattice: perforated and embossed sheets."""

    kind: Literal["dots"]
    spacing: Size
    radius: Annotated[Size, Field(description="as a share of the spacing")]
    staggered: Fraction


class Specks(_Layer):
    """Scattered grains that differ in tone."""

    kind: Literal["specks"]
    density: Annotated[Size, Field(description="specks per 1000 px at zoom 1")]
    radius: Size
    bright: Annotated[Fraction, Field(description="share of specks lighter than the ground")]


class Fibres(_Layer):
    """Short bent hairs in all directions: felt, paper, fibre boards."""

    kind: Literal["fibres"]
    density: Annotated[Size, Field(description="fibres per 1000 px at zoom 1")]
    length: Size
    bright: Fraction


Layer = Annotated[
    Noise | Streaks | Bands | Rings | Cells | Weave | Grating | Dots | Specks | Fibres, Field(discriminator="kind")
]


class TextureRecipe(Section):
    """A material: what its surface looks like evenly lit."""

    weight: Annotated[PositiveFloat, Field(description="how often it is drawn, against the others")]
    brightness: Annotated[Size, Field(description="grey levels")]
    contrast: Annotated[Size, Field(description="standard deviation of the layers, share of brightness")]
    zoom: Size
    saturation: Annotated[Range, Field(description="of the tint, more often low; 1 is a pure colour")]
    hues: Annotated[Range, Field(description="of the tint: 0 red, 1/3 green, 2/3 blue, 1 red")]
    gloss: Annotated[Range, Field(description="strength of highlights")]
    warp: Annotated[Range, Field(description="how far the pattern is bent, px")] = (0.0, 0.0)
    layers: Annotated[list[Layer], Field(min_length=1)]


class Wear(Section):
    """What years and dust add to any material: one more layer, one of several."""

    share: Annotated[Fraction, Field(description="how often there is some")]
    contrast: Annotated[Size, Field(description="standard deviation, share of brightness")]
    layers: Annotated[list[Layer], Field(min_length=1)]


class Lighting(Section):
    """Lamps: gains over the window."""

    gradient: Annotated[Range, Field(description="change of gain from the middle to an edge")]
    vignette: Annotated[Range, Field(description="loss of light in the corners")]
    highlight: Annotated[Fraction, Field(description="how often a lamp is mirrored")]
    highlight_width: Annotated[Size, Field(description="in windows")]
    shadow: Annotated[Fraction, Field(description="how often a soft shadow lies across")]
    shadow_depth: Range


class Edge(Section):
    """The part's edge in the window, and what lies beyond it."""

    share: Annotated[Fraction, Field(description="how often a window shows one")]
    covered: Annotated[Range, Field(description="how far the part reaches into the window, 0 none, 1 all of it")]
    chamfer: Annotated[Size, Field(description="px over which the part slopes towards it")]
    shading: Annotated[Range, Field(description="light that such a slope gains towards the lamp")]
    straight: Annotated[Fraction, Field(description="how often it is straight, not round")]


class Beneath(Section):
    """What shows where material is missing."""

    ratio: Annotated[Size, Field(description="brightness against the surface's")]
    contrast: Size
    cell: Annotated[Size, Field(description="px")]
    own_layers: Annotated[Fraction, Field(description="how often it has the surface's pattern, drawn anew")]


class Studio(Section):
    """All that a material may come with: wear, lamps, the part's edge, what lies beneath."""

    wear: Wear
    lighting: Lighting
    edge: Edge
    beneath: Beneath


class CameraRecipe(Section):
    """The camera's variety. Grey levels are those of its images."""

    monochrome: Annotated[Fraction, Field(description="how many cameras see no colour")]
    blur: Annotated[Size, Field(description="standard deviation of the lens's blur, px")]
    sharpen: Annotated[Range, Field(description="strength of its sharpening; none below 0")]
    gain: Annotated[Size, Field(description="exposure: above 1, bright surfaces saturate")]
    curve: Annotated[Range, Field(description="above 0 it lifts the middle tones, below 0 it lowers them")]
    black: Annotated[Range, Field(description="grey levels added to all, or taken before they clip at 0")]
    noise: Annotated[Size, Field(description="standard deviation in the dark, grey levels")]
    shot: Annotated[Range, Field(description="variance per grey level of light")]
    noise_blur: Annotated[Range, Field(description="how far noise is correlated, px; not at all below 0.3")]


class TextureBook(Section):
    """textures.yaml."""

    studio: Studio
    camera: CameraRecipe
    textures: Annotated[dict[str, TextureRecipe], Field(min_length=1)]
