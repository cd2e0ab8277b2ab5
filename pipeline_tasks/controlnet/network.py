"""The frozen UNet and the ControlNet that steers it (Zhang et al. 2023), as one network to train."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from pipeline_tasks.diffusion.base_model import BaseModel

if TYPE_CHECKING:
    from diffusers import ControlNetModel, UNet2DConditionModel

EMBEDDING_CHANNELS = (16, 32, 96, 256)
"""Widths of the network that brings the mask to latent size, from the finest; Stable Diffusion's uses all of them."""


def make_control(base: BaseModel, seed: int) -> "ControlNetModel":
    """Return a ControlNet that starts as a copy of the base's encoder, its outputs at zero; the rest from `seed`.

    It takes the mask at pixel resolution as RGB in {0, 1}, and latents alone even if the base inpaints, as diffusers'
    ControlNet pipelines expect.
    """
    from diffusers import ControlNetModel

    halvings = base.factor.bit_length() - 1
    widths = EMBEDDING_CHANNELS[: halvings + 1] + EMBEDDING_CHANNELS[-1:] * (halvings + 1 - len(EMBEDDING_CHANNELS))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        control = ControlNetModel.from_unet(base.unet, conditioning_embedding_out_channels=widths)
        if base.inpaints:
            _take_latents_only(control, base.vae.config.latent_channels)
    return control


def _take_latents_only(control: "ControlNetModel", channels: int) -> None:
    first = control.conv_in
    control.conv_in = torch.nn.Conv2d(channels, first.out_channels, first.kernel_size, padding=first.padding)
    control.conv_in.load_state_dict({"weight": first.weight[:, :channels], "bias": first.bias})
    control.register_to_config(in_channels=channels)


def known_latents(base: BaseModel, pixels: Tensor, hole: Tensor) -> Tensor:
    """Return what an inpainting UNet sees beside the noised latents, [B, 1 + C, s, s]: the hole, and all but the hole.

    pixels: [B, 3, S, S] in -1..1; hole: [B, 1, S, S] in {0, 1}. A cell that the hole touches belongs to it.
    """
    surroundings = base.encode(pixels * (1 - hole))
    return torch.cat([max_pool2d(hole.to(surroundings), base.factor), surroundings], dim=1)


class ControlledUNet(torch.nn.Module):
    """Predicts what the base's noise schedule asks for: noise, velocity or clean latents."""

    def __init__(self, unet: "UNet2DConditionModel", control: "ControlNetModel") -> None:
        super().__init__()
        self.unet, self.control = unet, control

    def forward(self, noised: Tensor, times: Tensor, text: Tensor, mask: Tensor, known: Tensor | None) -> Tensor:
        """Return the prediction [B, C, s, s] for `noised`, likewise, at `times` [B] in 0..T-1.

        text: [B, tokens, width]; mask: [B, 1, S, S] in {0, 1}; known: see `known_latents`, None for a base that does
        not inpaint.
        """
        down, middle = self.control(
            noised, times, encoder_hidden_states=text, controlnet_cond=mask.expand(-1, 3, -1, -1), return_dict=False
        )
        predicted: Tensor = self.unet(
            noised if known is None else torch.cat([noised, known], dim=1),
            times,
            encoder_hidden_states=text,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0]
        return predicted
