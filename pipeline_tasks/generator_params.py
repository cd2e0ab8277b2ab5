"""The sections of params.yaml that only one generator knows."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from pipeline_tasks.section import Fraction, NonNegativeInt, Section, UNetWidth


class EarlyStop(Section):
    """When the inpainting generator's training ends before its steps do: on defect images held out of the base set."""

    min_images: Annotated[PositiveInt, Field(description="images of a defect from which some of them are held out")]
    fraction: Annotated[float, Field(gt=0, le=0.5, description="of these, held out; shots of one part together")]
    every_steps: Annotated[PositiveInt, Field(description="steps from one measurement to the next")]
    patience: Annotated[PositiveInt, Field(description="measurements without a lower loss that end the training")]


class TrainInpainting(Section):
    """What only the inpainting generator's training knows (METHODS section 3a)."""

    window_px: Annotated[int, Field(ge=32, multiple_of=16, description="side of the square training windows")]
    channels: Annotated[list[UNetWidth], Field(min_length=2, max_length=4, description="UNet widths, multiples of 8")]
    dilation_px: Annotated[NonNegativeInt, Field(description="how far the noised hole exceeds the mask")]
    appearance_code: Annotated[bool, Field(description="tell it the defect's colour and roughness; else it guesses")]
    guided_fraction: Annotated[
        float, Field(gt=0, le=1, description="share of windows told the defect's slow shading, too, as sampling is")
    ]
    early_stop: EarlyStop


class LatentTraining(Section):
    """What the trainings of generators in latent space share (METHODS section 3)."""

    views_per_image: Annotated[PositiveInt, Field(description="random views of each image, encoded once and cached")]
    accumulate: Annotated[PositiveInt, Field(description="parts that a batch is computed in; divides batch_size")]
    gradient_checkpointing: Annotated[bool, Field(description="less memory for more time")]
    schedule: Annotated[Literal["constant", "cosine"], Field(description="of the learning rate; papers: constant")]
    processes: Annotated[PositiveInt, Field(description="processes (GPUs) that share a batch, started by accelerate")]


class TrainControlNet(LatentTraining):
    """What only the ControlNet's training knows (METHODS section 3; CAGen Eq. 1, AnomalyAlign)."""

    noise_schedule: Annotated[Literal["checkpoint", "cosine"], Field(description="paper (DefectSynth): cosine")]
    prompt_dropout: Annotated[Fraction, Field(description="share of empty prompts, for classifier-free guidance")]
    alignment_weight: Annotated[float, Field(ge=0, description="lambda of the alignment loss (AnomalyAlign); 0 = off")]
    min_snr_gamma: Annotated[float, Field(ge=0, description="min-SNR weighting (Hang et al. 2023); 0 = off")]
    lora_rank: Annotated[NonNegativeInt, Field(description="rank of LoRA adapters on the base's attention; 0 = none")]


class TrainDit(LatentTraining):
    """What only the DiT's training knows (DefectDiffu sections 3.2 to 3.5)."""

    blocks: Annotated[
        list[NonNegativeInt],
        Field(min_length=3, max_length=3, description="background, defect, fusion; paper, of DiT-XL/2: 10, 10, 8"),
    ]
    heads: Annotated[PositiveInt, Field(description="attention heads; a pretrained DiT's own, if any")]
    head_width: Annotated[int, Field(gt=0, multiple_of=8, description="channels of a head; see heads")]
    patch: Annotated[PositiveInt, Field(description="side of a patch, latent cells; see heads")]
    product_dropout: Annotated[Fraction, Field(description="p1 of Algorithm 1: the product becomes empty")]
    defect_dropout: Annotated[Fraction, Field(description="p2 of Algorithm 1: the defect becomes 'good'")]
    one_prompt: Annotated[bool, Field(description="every part sees the fusion prompt (the paper's ablation)")]
    ratio_min: Annotated[PositiveFloat, Field(description="least R of Eq. 9; equal to ratio_max: no adaptation")]
    ratio_max: Annotated[PositiveFloat, Field(description="largest R of Eq. 9")]
    ratio_floor: Annotated[PositiveFloat, Field(description="alpha of Eq. 8")]
    mask_weight: Annotated[float, Field(ge=0, description="lambda of Eq. 11")]

    @model_validator(mode="after")
    def _usable(self) -> "TrainDit":
        if self.blocks[1] == 0:
            raise ValueError("blocks: the second number, of defect blocks, must be 1 or more: they give the masks")
        if self.ratio_min > self.ratio_max:
            raise ValueError(f"ratio_min ({self.ratio_min}) must not exceed ratio_max ({self.ratio_max})")
        return self


class GenerateInpainting(Section):
    """What only the inpainting generator's sampling knows (METHODS section 3a)."""

    steps: Annotated[PositiveInt, Field(description="Euler steps of the flow")]


class Sae(Section):
    """Selective Attention Enhancement (DefectSynth Eq. 5-8, Algorithm 1)."""

    enabled: bool
    compare: Annotated[Literal["x0", "zt"], Field(description="the reference with the predicted x0, or (paper) z_t")]
    softmax: Annotated[Literal["masked", "all"], Field(description="over the masked cells, or (paper) all of them")]
    cap: Annotated[float, Field(ge=0, description="largest weight; 0 = none (paper: Eq. 7 reaches |M| + 1)")]
    rotations: Annotated[PositiveInt, Field(description="angles tried for the alignment, evenly over a full turn")]


class Sff(Section):
    """Similarity-based Feature Fusion (DefectSynth Eq. 9)."""

    enabled: bool
    rate: Annotated[Fraction, Field(description="share of the masked cells that are fused (paper: of all cells)")]
    own_weight: Annotated[Fraction, Field(description="w_i; the references share the rest")]


class LatentSampling(Section):
    """What the sampling of generators in latent space shares (METHODS section 4)."""

    steps: Annotated[PositiveInt, Field(description="DDIM steps (DefectSynth IV; paper's timing: 50)")]
    eta: Annotated[Fraction, Field(description="0 = deterministic DDIM (paper), 1 = DDPM")]
    blend: Annotated[
        Literal["each_step", "end"], Field(description="fusion with the normal's latents (CAGen Eq. 2-5; paper: end)")
    ]
    compile: Annotated[bool, Field(description="torch.compile the networks; batches have a fixed shape")]


class GenerateControlNet(LatentSampling):
    """What only the ControlNet's sampling knows (METHODS section 4)."""

    guidance_scale: Annotated[float, Field(ge=1, description="classifier-free guidance; 1 = none")]
    control_scale: Annotated[float, Field(ge=0, description="strength of the ControlNet's residuals; paper: 1")]
    sae: Sae
    sff: Sff


class GenerateDit(LatentSampling):
    """What only the DiT's sampling knows (DefectDiffu sections 3.3, 3.4 and 3.6)."""

    mode: Annotated[
        Literal["given", "free"], Field(description="image and mask on those of the mask row, or (paper) generated")
    ]
    product_scale: Annotated[float, Field(ge=0, description="w_p of Eq. 4; 1 = as learned")]
    defect_scale_min: Annotated[float, Field(ge=0, description="w_d of Eq. 4 is drawn for each pair, from here ...")]
    defect_scale_max: Annotated[float, Field(ge=0, description="... to here; 1 = as learned")]
    mask_share: Annotated[
        float, Field(gt=0, le=1, description="last share of the schedule that attention masks are averaged over")
    ]
    strengths: Annotated[
        list[Annotated[float, Field(ge=0)]], Field(min_length=2, description="w_d of the trials, rising from 0")
    ]
    trials: Annotated[NonNegativeInt, Field(description="mask rows of a defect that are tried at all strengths")]

    @model_validator(mode="after")
    def _in_order(self) -> "GenerateDit":
        if self.defect_scale_min > self.defect_scale_max:
            low, high = self.defect_scale_min, self.defect_scale_max
            raise ValueError(f"defect_scale_min ({low}) must not exceed defect_scale_max ({high})")
        if self.strengths[0] != 0 or sorted(set(self.strengths)) != self.strengths:
            raise ValueError(f"strengths ({self.strengths}) must begin with 0 and rise")
        return self
