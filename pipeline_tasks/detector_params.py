"""The section of params.yaml that says what detectors benefit is measured with, and how they are trained."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline_tasks.section import Device, Section, UNetWidth

Widths = Annotated[list[PositiveInt], Field(min_length=5, max_length=5, description="U-Net widths, finest first")]


class Training(Section):
    """How long a network learns, and of how much at a time; `budget` of `Detector` says which length counts."""

    steps: Annotated[PositiveInt, Field(description="equal-steps: optimiser steps of every arm, whatever its images")]
    epochs: Annotated[PositiveInt, Field(description="paper: passes over the arm's own images")]
    batch_size: Annotated[int, Field(ge=2, description="batch normalisation needs two")]
    learning_rate: PositiveFloat


class Classifier(Training):
    """A residual network that names the defect on a whole image, scaled to a square (METHODS section 5)."""

    network: Annotated[
        Literal["resnet18", "resnet34", "resnet50"],
        Field(description="papers: resnet34 (DefectSynth), resnet50 (DefectDiffu), resnet18 (CAGen's embedding)"),
    ]
    classes: Annotated[
        Literal["defects", "binary"],
        Field(description="each defect and good (DefectSynth), or defect and good alone (DefectDiffu, CAGen)"),
    ]
    weights: Annotated[
        str,
        Field(min_length=1, description="to start from: 'none', a hub id or a folder (safetensors of transformers)"),
    ]
    revision: Annotated[str, Field(min_length=1, description="git revision of the weights' hub id")]
    resolution_px: Annotated[int, Field(ge=32, description="side that images are scaled to: small defects vanish")]


class Draem(Training):
    """Reconstruction and comparison, learned of simulated anomalies (Zavrtanik et al. 2021; CAGen section 4.1)."""

    channels: Annotated[
        list[UNetWidth],
        Field(min_length=2, max_length=4, description="widths of the reconstruction, halved by each"),
    ]
    features: Annotated[Widths, Field(description="U-Net widths of the comparison, finest first")]


class Detector(Training):
    """A U-Net on windows, and the papers' other detectors (METHODS section 5)."""

    budget: Annotated[
        Literal["equal-steps", "paper"],
        Field(description="every arm the same optimiser steps, or epochs over what the arm has, as in the papers"),
    ]
    window_px: Annotated[int, Field(ge=32, multiple_of=16, description="unet, draem: side of the square windows")]
    features: Widths
    max_image_px: Annotated[int, Field(ge=64, description="larger images are scaled down to this longest side")]
    device: Device
    classifier: Classifier
    draem: Draem

    def seen_by(self, kind: Literal["unet", "draem", "classifier"]) -> "Detector":
        """Return the parameters of a kind: a classifier's images are opened no larger than twice what it scales to."""
        if kind != "classifier":
            return self
        most = min(self.max_image_px, 2 * self.classifier.resolution_px)
        return self.model_copy(update={"max_image_px": most})

    def settings_of(self, kind: Literal["unet", "draem", "classifier"]) -> dict[str, Any]:
        """Return all that bears on what a detector of this kind learns, as JSON values."""
        return self.model_dump(mode="json", exclude={"device", "classifier", "draem"} - {kind})
