"""params.yaml as frozen models, one class per section. The file holds the only values: no defaults are set here."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from pipeline_tasks.benefit_params import Choose, Evaluate, Retrain
from pipeline_tasks.detector_params import Detector
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.generator_params import (
    GenerateControlNet,
    GenerateDit,
    GenerateInpainting,
    TrainControlNet,
    TrainDit,
    TrainInpainting,
)
from pipeline_tasks.section import DefectWords, Device, Fraction, NonNegativeInt, Precision, Section, Threads, UNetWidth
from pipeline_tasks.validate_params import Validate
from pipeline_tasks.yaml_files import describe, read_yaml

ProtocolName = Literal[
    "few-shot-10",
    "deepcrack-localization",
    "gdxray-localization",
    "mvtec-classification",
    "mvtec-localization",
    "half-split",
    "three-shot",
]


class Run(Section):
    """What every stage shares."""

    seed: NonNegativeInt


class Ingest(Section):
    """Which files are samples, and which of them may be learned from (METHODS sections 0 and 5)."""

    protocol: Annotated[ProtocolName, Field(description="how base is split from test, see splits/protocols.py")]
    draw: Annotated[NonNegativeInt, Field(description="number of the draw, for protocols that draw at random")]
    normal_test_fraction: Annotated[
        float, Field(ge=0, lt=1, description="share of normal images held out where the data set names none to test on")
    ]
    max_megapixels: Annotated[
        PositiveFloat, Field(le=178, description="larger images are set aside; Pillow's limit: 178")
    ]
    max_file_mb: Annotated[PositiveFloat, Field(description="larger files are set aside unread, megabytes")]
    white_16bit: Annotated[
        int, Field(ge=256, le=65535, description="the value that is white in 16-bit images; 4095 for 12-bit cameras")
    ]


class Backend(Section):
    """Which generator makes the pairs, and what it starts from."""

    name: Literal["inpainting", "controlnet", "dit", "paste"]
    pretrained: Annotated[
        str,
        Field(min_length=1, description="controlnet, dit: 'scratch', a hub id (owner/name) or a diffusers folder"),
    ]
    revision: Annotated[str, Field(min_length=1, description="git revision of a hub id")]
    transformer: Annotated[
        str, Field(min_length=1, description="DiT that dit starts from: 'none', a hub id or a diffusers folder")
    ]
    transformer_revision: Annotated[str, Field(min_length=1, description="git revision of the DiT's hub id")]
    resolution_px: Annotated[int, Field(ge=32, multiple_of=8, description="controlnet, dit: side of what they see")]
    view: Annotated[
        Literal["window", "image"],
        Field(description="controlnet and dit see a square around the defect, or (paper) the whole image, scaled"),
    ]

    @property
    def is_latent(self) -> bool:
        """Whether the generator works in the latent space of a base model."""
        return self.name in ("controlnet", "dit")

    @model_validator(mode="after")
    def _codec_of_the_transformer(self) -> "Backend":
        if self.pretrained == "scratch" and self.transformer != "none":
            raise ValueError(
                "transformer: a pretrained DiT knows the latents of Stable Diffusion's codec; set pretrained to a "
                "pipeline with that, or transformer to none"
            )
        return self


class Prompts(Section):
    """Text prompts (CAGen section 4; AnomalyAlign; METHODS section 1)."""

    kind: Literal["template", "semantic", "disentangled"]
    template: Annotated[str, Field(pattern=r"\{defect\}", description="may use {defect} and {product}")]
    clip: Annotated[str, Field(min_length=1, description="semantic: CLIP model, a hub id or a folder (safetensors)")]
    names: Annotated[
        dict[str, dict[str, DefectWords]],
        Field(description="disentangled: product -> defect -> unified name, beside those that ship"),
    ]
    max_phrases: Annotated[PositiveInt, Field(description="semantic: most phrases joined to the template")]
    min_gain: Annotated[float, Field(ge=0, description="semantic: least rise of the cosine similarity by a phrase")]


class Pretrain(Section):
    """The base of `pretrained: scratch`: a small codec (VAE), text encoder and UNet, trained on the base samples."""

    threads: Threads
    codec_steps: PositiveInt
    codec_batch_size: PositiveInt
    codec_learning_rate: PositiveFloat
    codec_channels: Annotated[list[UNetWidth], Field(min_length=2, max_length=4, description="halves per further one")]
    latent_channels: PositiveInt
    text_width: Annotated[int, Field(ge=8, multiple_of=8)]
    text_layers: PositiveInt
    views_per_image: Annotated[PositiveInt, Field(description="random views of each image, encoded once and cached")]
    unet_steps: PositiveInt
    unet_batch_size: PositiveInt
    unet_learning_rate: PositiveFloat
    unet_channels: Annotated[list[UNetWidth], Field(min_length=2, max_length=4, description="UNet widths")]
    checkpoint_every_steps: PositiveInt
    device: Device
    precision: Precision


class Train(Section):
    """The generator's training (METHODS section 3)."""

    threads: Threads
    init: Annotated[
        str,
        Field(min_length=1, description="inpainting: 'prior', which ships, 'scratch', or a folder, named with a /"),
    ]
    steps: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    normal_fraction: Annotated[Fraction, Field(description="share of normal images in training")]
    ema_decay: Annotated[float, Field(ge=0, lt=1, description="0 = the last weights as they are")]
    checkpoint_every_steps: PositiveInt
    device: Device
    precision: Precision
    inpainting: TrainInpainting
    controlnet: TrainControlNet
    dit: TrainDit

    @model_validator(mode="after")
    def _whole_parts(self) -> "Train":
        for own in (self.controlnet, self.dit):
            if self.batch_size % (parts := own.accumulate * own.processes):
                size = self.batch_size
                raise ValueError(f"batch_size ({size}) must be a multiple of accumulate x processes ({parts})")
        return self


class Perlin(Section):
    """Masks of thresholded noise (CAGen section 4, DRAEM; Perlin 1985)."""

    cells_max: Annotated[PositiveInt, Field(description="noise cells along the object: a power of two up to 2^this")]
    area_min: Annotated[float, Field(gt=0, lt=1, description="least and largest share of the object that is defect")]
    area_max: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _areas_in_order(self) -> "Perlin":
        if self.area_min > self.area_max:
            raise ValueError(f"area_min ({self.area_min}) must not exceed area_max ({self.area_max})")
        return self


class Masks(Section):
    """New masks from real ones (METHODS section 2; DefectSynth section III-C)."""

    pairs_per_defect: PositiveInt
    kind: Annotated[
        Literal["hybrid", "image", "latent", "perlin"],
        Field(description="made between real ones in image or latent space (hybrid: whichever suits), or of noise"),
    ]
    tau: Annotated[Fraction, Field(description="hybrid: least mean area for latent space (DefectSynth: 0.053)")]
    min_width_px: Annotated[float, Field(ge=0, description="hybrid: least mean width for latent space")]
    latent_steps: Annotated[PositiveInt, Field(description="latent: steps of DDIM inversion and of sampling (Eq. 4)")]
    perlin: Perlin
    reserve_fraction: Annotated[
        Fraction, Field(description="masks beyond pairs_per_defect, for pairs that fail: share of it")
    ]
    interpolated_fraction: Annotated[Fraction, Field(description="share of masks interpolated between two real ones")]
    rotation_degrees: Annotated[float, Field(ge=0, le=180, description="largest rotation, either way")]
    scale_min: PositiveFloat
    scale_max: PositiveFloat
    flip: bool
    placement_spread: Annotated[Fraction, Field(description="0 = as seen in base masks, 1 = anywhere on the object")]
    attempts: Annotated[PositiveInt, Field(description="placements tried per pair before it is refused and counted")]
    threads: Threads
    device: Device
    precision: Precision

    @model_validator(mode="after")
    def _scales_in_order(self) -> "Masks":
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min ({self.scale_min}) must not exceed scale_max ({self.scale_max})")
        return self


class Keep(Section):
    """What a pair's scores must be; one that fails is made again from fresh seeds, and never published as it is.

    The values that ship refuse what is grossly wrong: on real data honest pairs had a label IoU of 0.22 and more, nine
    in ten with another's mask at most 0.13 to 0.52. The composite cuts spill off: near 1 the defect is elsewhere.
    """

    min_alignment: Annotated[Fraction, Field(description="least agreement of change and mask, 0 = by chance")]
    min_label_iou: Annotated[Fraction, Field(description="least IoU of what changed and the mask, before compositing")]
    min_change_inside: Annotated[float, Field(ge=0, description="least mean change inside the mask, grey levels")]
    max_spill: Annotated[Fraction, Field(description="largest share of the visible change outside the dilated mask")]
    max_similarity: Annotated[Fraction, Field(description="largest likeness to a base defect; 1 = copies are welcome")]


class Generate(Section):
    """Pairs from masks and normal images (METHODS section 4)."""

    threads: Threads
    batch_size: Annotated[PositiveInt, Field(description="sampled together; changes pairs by rounding at most")]
    dilation_px: Annotated[NonNegativeInt, Field(description="how far beyond the mask pixels may change")]
    feather_px: Annotated[NonNegativeInt, Field(description="width of the soft edge of the composite")]
    severity: Annotated[PositiveFloat, Field(description="inpainting, paste: the defect's contrast; 1 = as seen")]
    block_pairs: Annotated[PositiveInt, Field(description="consecutive pair indices made together, SFF's references")]
    shard_pairs: Annotated[PositiveInt, Field(description="pairs per Parquet shard, the unit of resuming")]
    attempts: Annotated[PositiveInt, Field(description="times a pair is made at the most; the best one is judged")]
    keep: Keep
    device: Device
    precision: Precision
    inpainting: GenerateInpainting
    controlnet: GenerateControlNet
    dit: GenerateDit

    @model_validator(mode="after")
    def _feather_inside_dilation(self) -> "Generate":
        if self.feather_px > self.dilation_px:
            raise ValueError(f"feather_px ({self.feather_px}) must not exceed dilation_px ({self.dilation_px})")
        if self.shard_pairs % self.block_pairs:
            raise ValueError(f"shard_pairs ({self.shard_pairs}) must be a multiple of block_pairs ({self.block_pairs})")
        return self


class Register(Section):
    """Publication of a refreshed version."""

    experiment: Annotated[str, Field(min_length=1, description="MLflow experiment")]
    git_commit: Annotated[bool, Field(description="commit dvc.lock, catalog.yaml and params.yaml")]
    sample_pairs: Annotated[PositiveInt, Field(description="pairs per defect shown in the report")]


class ZeroShot(Section):
    """A defect to make on a product that has shown no such defect, learned on another one (DefectDiffu Eq. 12)."""

    source: Annotated[str, Field(description="product whose real defects it is learned from")]
    defect: str
    product: Annotated[str, Field(description="product that it is made on")]


class Params(Section):
    """The whole of params.yaml."""

    run: Run
    backend: Backend
    zero_shot: Annotated[list[ZeroShot], Field(description="dit: read by `defectline catalog --shared`")]
    ingest: Ingest
    prompts: Prompts
    pretrain: Pretrain
    train: Train
    masks: Masks
    generate: Generate
    validate_: Annotated[Validate, Field(alias="validate")]
    detector: Detector
    choose: Choose
    evaluate: Evaluate
    retrain: Retrain
    register_: Annotated[Register, Field(alias="register")]

    @model_validator(mode="after")
    def _disentangled(self) -> "Params":
        if self.backend.name == "dit" and self.prompts.kind != "disentangled":
            raise ValueError(f"backend.name: dit needs prompts.kind: disentangled, not {self.prompts.kind}")
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml. Raises ConfigError naming the file and every offending key."""
    try:
        return Params.model_validate(read_yaml(path, "run defectline in the folder that holds params.yaml"))
    except ValidationError as error:
        raise ConfigError(describe(path, error)) from error
