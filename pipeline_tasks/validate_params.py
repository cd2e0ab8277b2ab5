"""The thresholds of the quality gate: what is asked of a product's pairs, and whether a failure stops or warns."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from pipeline_tasks.section import Fraction, NonNegativeInt, Section


class Threshold(Section):
    """One kind of expectation."""

    severity: Annotated[Literal["stop", "warn"], Field(description="stop: nothing is published; warn: the report says")]

    @property
    def level(self) -> Literal["critical", "warning"]:
        """The severity as Great Expectations calls it."""
        return "critical" if self.severity == "stop" else "warning"


class EnoughPairs(Threshold):
    """As many pairs as were asked for."""

    min_fraction: Annotated[Fraction, Field(description="least made / asked of each defect")]


class DistinctNormals(Threshold):
    """Pairs on several normal images."""

    min_count: PositiveInt


class MaskArea(Threshold):
    """Masks about as large as real ones."""

    slack: Annotated[float, Field(ge=1, description="areas may leave the base set's range by this factor")]
    min_fraction: Annotated[Fraction, Field(description="least share of pairs that keep to it")]


class MaskPosition(Threshold):
    """Masks about where real ones are."""

    slack: Annotated[Fraction, Field(description="centres may leave the base set's range by this share of the image")]
    min_fraction: Annotated[Fraction, Field(description="least share of pairs that keep to it")]


class Labels(Threshold):
    """Labels that say what changed."""

    min_median_iou: Annotated[Fraction, Field(description="least median IoU of what changed and the mask")]


class Memorised(Threshold):
    """Few pairs that copy a base defect."""

    similarity: Annotated[Fraction, Field(description="likeness to a base defect above which it is a copy")]
    max_fraction: Annotated[Fraction, Field(description="largest share of copies")]


class NearDuplicates(Threshold):
    """Few pairs that look like another one."""

    max_bits: Annotated[
        NonNegativeInt, Field(le=4, description="most bits, of 64, in which the hashes of a likeness differ")
    ]
    max_fraction: Annotated[Fraction, Field(description="largest share of pairs that have such a likeness")]


class Diversity(Threshold):
    """Defects that differ from one another."""

    min_spread: Annotated[Fraction, Field(description="least mean distance of perceptual hashes; 0.5 = unrelated")]


class ClassBalance(Threshold):
    """About as many pairs of each defect."""

    min_ratio: Annotated[Fraction, Field(description="least pairs of the rarest / of the most frequent defect")]


class Validate(Section):
    """The quality gate. Rules without a section here always stop: table, origin, base and test, untouched pixels."""

    enough_pairs: EnoughPairs
    distinct_normals: DistinctNormals
    mask_area: MaskArea
    mask_position: MaskPosition
    labels: Labels
    memorised: Memorised
    near_duplicates: NearDuplicates
    diversity: Diversity
    class_balance: ClassBalance
