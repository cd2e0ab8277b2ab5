"""Models with random weights, for speed: as small as from scratch, or as large as Stable Diffusion 1.5 and DiT-XL/2."""

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from pipeline_tasks.controlnet.network import make_control
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.scratch_networks import make_codec, make_scheduler, make_text_encoder, make_unet
from pipeline_tasks.diffusion.text_tokens import train_tokenizer
from pipeline_tasks.dit.generator import Generator
from pipeline_tasks.dit.initial import start, start_mask_head
from pipeline_tasks.params import Pretrain, TrainDit
from pipeline_tasks.schema import GOOD

PRODUCT, DEFECT = "plate", "scratch"
PROMPT = f"A photo of {DEFECT} {PRODUCT}"
XL = {"blocks": [10, 10, 8], "heads": 16, "head_width": 72, "patch": 2}
"""DiT-XL/2, in DefectDiffu's three parts."""


def random_base(size: str, params: Pretrain, resolution_px: int) -> BaseModel:
    """Return a base of `size` 'small' (what `params` describe) or 'sd15', on the CPU in float32."""
    tokenizer = train_tokenizer([PROMPT, f"A photo of {GOOD}"])
    if size == "small":
        codec = make_codec(params, resolution_px, seed=0)
        latent_px = resolution_px >> (len(params.codec_channels) - 1)
        networks = (codec, make_text_encoder(params, tokenizer, seed=0), make_unet(params, latent_px, seed=0))
    else:
        networks = _sd15()
    codec, text_encoder, unet = (network.eval().requires_grad_(False) for network in networks)
    return BaseModel(codec, text_encoder, tokenizer, unet, make_scheduler(), "random weights")


def _sd15() -> tuple[AutoencoderKL, CLIPTextModel, UNet2DConditionModel]:
    torch.manual_seed(0)
    codec = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        sample_size=512,
    )
    text = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    return codec, CLIPTextModel(text), UNet2DConditionModel(sample_size=64, cross_attention_dim=768)


def random_control(base: BaseModel) -> ControlNetModel:
    """Return a ControlNet for `base`, whose outputs are not zero."""
    control = make_control(base, seed=0).eval().requires_grad_(False)
    for layer in (*control.controlnet_down_blocks, control.controlnet_mid_block):
        torch.nn.init.normal_(layer.weight, std=0.01)
    return control


def random_dit(base: BaseModel, size: str, params: TrainDit, resolution_px: int) -> Generator:
    """Return a DiT generator on `base` of `size` 'small' (what `params` describe) or 'sd15' (then XL), float32.

    No weight is zero, as if it were trained.
    """
    sizes = params if size == "small" else params.model_copy(update=XL)
    tdia = start(sizes, base, resolution_px // base.factor, None, seed=0)
    mask_head = start_mask_head(tdia, base, seed=0)
    for weight in (*tdia.parameters(), *mask_head.parameters()):
        torch.nn.init.normal_(weight, std=0.02)
    tdia, mask_head = (network.eval().requires_grad_(False) for network in (tdia, mask_head))
    return Generator(base, tdia, mask_head, base.scheduler, resolution_px, "window", one_prompt=False)
