"""The networks of a base model that is trained from scratch: the classes of Stable Diffusion 1.5, small."""

from typing import TYPE_CHECKING

import torch

from pipeline_tasks.params import Pretrain
from pipeline_tasks.seeds import derive_seed

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

NORM_GROUPS = 8
HEADS = 4
LOG_VARIANCE = -8.0
"""Of a fresh codec's latents: at 0, Stable Diffusion's start, a short training is spent on shouting down the noise."""


def make_codec(params: Pretrain, resolution_px: int, seed: int) -> "AutoencoderKL":
    """Return a codec that halves an image's sides at every further level of `params.codec_channels`.

    It has no attention, so that it can be trained on small windows, and begins with next to no noise in its latents.
    """
    from diffusers import AutoencoderKL

    levels = len(params.codec_channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "codec weights"))
        codec = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=tuple(params.codec_channels),
            layers_per_block=1,
            latent_channels=params.latent_channels,
            norm_num_groups=NORM_GROUPS,
            sample_size=resolution_px,
            mid_block_add_attention=False,
            scaling_factor=1.0,  # training makes the latents' deviation 1
        )
    torch.nn.init.constant_(codec.quant_conv.bias[params.latent_channels :], LOG_VARIANCE)
    return codec


def make_text_encoder(params: Pretrain, tokenizer: "CLIPTokenizer", seed: int) -> "CLIPTextModel":
    """Return a text encoder for the tokens of `tokenizer`."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=params.text_width,
        intermediate_size=4 * params.text_width,
        projection_dim=params.text_width,
        num_hidden_layers=params.text_layers,
        num_attention_heads=HEADS,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "text weights"))
        return CLIPTextModel(config)


def make_unet(params: Pretrain, latent_px: int, seed: int) -> "UNet2DConditionModel":
    """Return a UNet that attends to the text at every level but the finest, where attention would cost the most."""
    from diffusers import UNet2DConditionModel

    coarser = len(params.unet_channels) - 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "unet weights"))
        return UNet2DConditionModel(
            sample_size=latent_px,
            in_channels=params.latent_channels,
            out_channels=params.latent_channels,
            down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * coarser),
            up_block_types=(*("CrossAttnUpBlock2D",) * coarser, "UpBlock2D"),
            block_out_channels=tuple(params.unet_channels),
            layers_per_block=1,
            cross_attention_dim=params.text_width,
            attention_head_dim=HEADS,  # diffusers takes it for the number of heads, as Stable Diffusion 1.5 does
            norm_num_groups=NORM_GROUPS,
        )


def make_scheduler() -> "DDIMScheduler":
    """Return Stable Diffusion's noise schedule; the UNet predicts the velocity, which is learnt in fewer steps."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
    )
