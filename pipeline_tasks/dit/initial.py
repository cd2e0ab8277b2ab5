"""What a TDIA and its mask head start from: a pretrained DiT, whose weights map by name, or nothing."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.dit.mask_head import MaskHead
from pipeline_tasks.dit.tdia import TDIA
from pipeline_tasks.errors import ConfigError, ModelError
from pipeline_tasks.generator_params import TrainDit

if TYPE_CHECKING:
    from diffusers import DiTTransformer2DModel

SIZES = ("sample_size", "patch_size", "num_attention_heads", "attention_head_dim")
BUILT = {
    "activation_fn": "gelu-approximate",
    "attention_bias": True,
    "norm_type": "ada_norm_zero",
    "norm_elementwise_affine": False,
    "norm_eps": 1e-5,
}
"""How TDIA's blocks are built; a DiT of another build has no place for its weights."""
EMPTY_SIDE = 16
"""Side, in latent cells, of the empty mask that a mask head starts from."""


def start(
    params: TrainDit, base: BaseModel, sample_size: int, transformer: "DiTTransformer2DModel | None", seed: int
) -> TDIA:
    """Return a TDIA for the latents of `base`, `sample_size` cells a side.

    With a `transformer` it has its sizes and weights and, whatever the texts, its prediction without a class: only
    cross-attention is new, its output at zero. Without one it has the sizes of `params` and predicts 0. New weights
    are from `seed`. Raises ConfigError if blocks or patches do not fit, ModelError if the latents or the build do not.
    """
    sizes = _sizes(params, sample_size) if transformer is None else _sizes_of(transformer, params, base)
    if sample_size % sizes["patch_size"]:
        raise ConfigError(
            f"params.yaml: backend.resolution_px gives latents of {sample_size} cells a side, which patches of "
            f"{sizes['patch_size']} do not divide; change it, or train.dit.patch if the DiT is not pretrained"
        )
    width, channels = base.text_encoder.config.hidden_size, base.vae.config.latent_channels
    layers = dict(zip(("background_layers", "defect_layers", "fusion_layers"), params.blocks, strict=True))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tdia: TDIA = TDIA(in_channels=channels, cross_attention_dim=width, **sizes, **layers)
    if transformer is not None:
        tdia.load_state_dict(tdia.state_dict() | weights_of(transformer))
    return tdia


def _sizes(params: TrainDit, sample_size: int) -> dict[str, int]:
    return dict(zip(SIZES, (sample_size, params.patch, params.heads, params.head_width), strict=True))


def _sizes_of(transformer: "DiTTransformer2DModel", params: TrainDit, base: BaseModel) -> dict[str, int]:
    config, channels = transformer.config, base.vae.config.latent_channels
    if sum(params.blocks) != config.num_layers:
        raise ConfigError(
            f"params.yaml: train.dit.blocks {params.blocks} are {sum(params.blocks)} blocks, the DiT of "
            f"backend.transformer has {config.num_layers}; make them sum to that"
        )
    if config.in_channels != channels:
        raise ModelError(
            f"backend.transformer: the DiT's latents have {config.in_channels} channels, those of backend.pretrained "
            f"{channels}; choose two that belong together"
        )
    if other := {name: config[name] for name, built in BUILT.items() if config[name] != built}:
        raise ModelError(f"backend.transformer: a DiT with {other}, which TDIA does not know; choose one with {BUILT}")
    return {name: config[name] for name in SIZES}


def weights_of(transformer: "DiTTransformer2DModel") -> dict[str, Tensor]:
    """Return the weights of a DiT without its classes, under TDIA's names.

    The embedding of no class is added to that of the time, block by block; of a predicted variance nothing is kept.
    """
    weights, null = {}, transformer.config.num_embeds_ada_norm
    classes = ".norm1.emb.class_embedder.embedding_table.weight"
    for name, weight in transformer.state_dict().items():
        if not name.endswith(classes):
            weights[name.replace(".norm1.emb.", ".")] = weight
    for name, table in transformer.state_dict().items():
        if name.endswith(classes):
            bias = name.removesuffix(classes) + ".timestep_embedder.linear_2.bias"
            weights[bias] = weights[bias] + table[null]
    for name in ("proj_out_2.weight", "proj_out_2.bias"):
        by_channel = weights[name].unflatten(0, (-1, transformer.out_channels))
        weights[name] = by_channel[:, : transformer.config.in_channels].flatten(0, 1)
    return weights


def start_mask_head(tdia: TDIA, base: BaseModel, seed: int) -> MaskHead:
    """Return a mask head for the maps of `tdia`, its weights from `seed`; it says of every image that it has no defect.

    Training then has only to find the defects, not the latents that the codec of `base` gives to an empty mask.
    """
    channels = tdia.config.defect_layers * tdia.config.num_attention_heads
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head: MaskHead = MaskHead(channels, tdia.config.in_channels, tdia.config.patch_size)
    side = EMPTY_SIDE * base.factor
    empty = base.encode(torch.full((1, 3, side, side), -1.0)).mean(dim=(0, 2, 3))
    head.out.load_state_dict({"weight": torch.zeros_like(head.out.weight), "bias": empty.float().cpu()})
    return head
