"""The sections of params.yaml on what pairs do for a detector: the choice on folds and the report on the test split."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from pipeline_tasks.section import Fraction, NonNegativeInt, Section, Threads

INCUMBENT = "real_flip"
"""What is trained with unless something better is shown: real images, flipped (METHODS section 5, choice)."""
ARM = r"^(real|(paste|cutpaste|perlin|generator)_([1-9][0-9]?|100))(_(none|flip|classic))?$"
"""How an arm is spelled: its source, the synthetic share in percent, the augmentation of what is trained on."""


def _with_incumbent(arms: list[str]) -> list[str]:
    if INCUMBENT not in arms:
        raise ValueError(f"'{INCUMBENT}' must be among the arms: every other one is compared with it")
    if doubles := sorted({arm for arm in arms if arms.count(arm) > 1}):
        raise ValueError(f"{', '.join(doubles)}: named twice")
    return arms


ArmNames = Annotated[
    list[Annotated[str, Field(pattern=ARM)]],
    AfterValidator(_with_incumbent),
    Field(description="what detectors are trained on, the most important first: see benefit/arms.py"),
]
Minutes = Annotated[
    float, Field(ge=0, description="what does not fit is left out, the last arms first, and named; 0 = no limit")
]
PairsPerArm = Annotated[PositiveInt, Field(description="most pairs an arm learns from, spread over the defects")]


class Choose(Section):
    """What to train with, by cross-validation on the base set alone (METHODS section 5, choice)."""

    threads: Threads
    arms: ArmNames
    folds: Annotated[int, Field(ge=2, le=20)]
    repeats: Annotated[PositiveInt, Field(description="times the base set is cut into folds; two or more to decide")]
    confidence: Annotated[
        float, Field(gt=0.5, lt=1, description="least bootstrap probability of a gain; also the width of intervals")
    ]
    min_ap: Annotated[Fraction, Field(description="best pooled pixel AP below which a defect is undecidable")]
    draws: Annotated[PositiveInt, Field(description="draws of the bootstrap over left-out images")]
    pairs_per_arm: PairsPerArm
    normals: Annotated[NonNegativeInt, Field(description="most normal images scored in a repeat")]
    budget_minutes: Minutes


class Generation(Section):
    """How like real defects the pairs are (METHODS section 5, generation)."""

    network: Annotated[
        Literal["own", "inception", "alexnet", "clip"],
        Field(description="network whose features are compared; own: a ResNet-18 trained on the product itself"),
    ]
    weights: Annotated[str, Field(description="of the network: a hub id or path (safetensors); empty for own")]
    view_px: Annotated[int, Field(ge=32, description="side of the squares around defects that are compared")]
    pairs: Annotated[PositiveInt, Field(description="most pairs of a defect that are compared")]

    @model_validator(mode="after")
    def _weights_of_the_network(self) -> "Generation":
        if (self.network == "own") == bool(self.weights):
            wanted = "no weights: it is trained here" if self.network == "own" else "weights: a hub id or a path"
            raise ValueError(f"network {self.network} takes {wanted}")
        return self


class Evaluate(Section):
    """Detectors with and without pairs on the real test split, for the report (METHODS section 5)."""

    threads: Threads
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    detectors: Annotated[
        list[Literal["unet", "draem", "classifier"]],
        Field(min_length=1, description="the first one gives the verdict"),
    ]
    arms: ArmNames
    pairs_per_arm: PairsPerArm
    draws: Annotated[PositiveInt, Field(description="draws of the bootstrap over test images and seeds")]
    confidence: Annotated[float, Field(gt=0.5, lt=1, description="width of the intervals")]
    budget_minutes: Minutes
    generation: Generation


class Retrain(Section):
    """The detectors that a published dataset retrains."""

    threads: Threads
    detectors: Annotated[list[Literal["unet", "draem"]], Field(min_length=1)]
    seed: NonNegativeInt
