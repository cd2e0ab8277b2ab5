"""The frozen base steered by a ControlNet, with classifier-free guidance, as one function of z_t."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pipeline_tasks.controlnet.attention import weigh_cross_attention
from pipeline_tasks.controlnet.sampling import Denoise, Scene
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.generator_params import GenerateControlNet

if TYPE_CHECKING:
    from diffusers import ControlNetModel, ModelMixin


class GuidedDenoiser:
    """The networks at work; they keep the SAE's attention processors, where it is enabled."""

    def __init__(self, base: BaseModel, control: "ControlNetModel", params: GenerateControlNet) -> None:
        self._params = params
        self._halves = 2 if params.guidance_scale > 1 else 1
        self._unconditional = base.embed([""]) if self._halves == 2 else None
        self._dtype = base.unet.dtype
        self._row_weights = weigh_cross_attention(base.unet) if params.sae.enabled else None
        self._unet, self._control = (_runner(network, params.compile) for network in (base.unet, control))

    def condition(self, batch: Scene) -> Denoise:
        """Return the prediction of the noise (or v) in the scenes of `batch`.

        Guidance (Ho & Salimans 2022): e(empty) + scale * (e(prompt) - e(empty)), in one pass; both halves see the mask
        and the SAE's weights.
        """
        text = batch.text
        if self._unconditional is not None:
            text = torch.cat([self._unconditional.expand_as(text), text])
        return partial(self._predict, text.to(self._dtype), self._halves_of(batch.control), batch.known)

    def _predict(
        self, text: Tensor, control: Tensor, known: Tensor | None, latents: Tensor, time: int, weights: Tensor
    ) -> Tensor:
        if self._row_weights is not None:
            self._row_weights.set(self._halves_of(weights))
        noised = self._halves_of(latents)
        shared = {
            "timestep": torch.full((len(noised),), time, device=noised.device),
            "encoder_hidden_states": text,
            "return_dict": False,
        }
        scale = self._params.control_scale
        down, middle = self._control(noised, controlnet_cond=control, conditioning_scale=scale, **shared)
        (predicted,) = self._unet(
            noised if known is None else torch.cat([noised, self._halves_of(known)], dim=1),
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            **shared,
        )
        return self._guided(predicted.float())

    def _halves_of(self, tensor: Tensor) -> Tensor:
        return torch.cat([tensor] * self._halves).to(self._dtype)

    def _guided(self, predicted: Tensor) -> Tensor:
        if self._halves == 1:
            return predicted
        empty, prompted = predicted.chunk(2)
        return empty + self._params.guidance_scale * (prompted - empty)


def _runner(network: "ModelMixin", compiled: bool) -> Callable[..., tuple[Any, ...]]:
    """Return the network, compiled for the one shape that all batches have if so wanted."""
    return torch.compile(network, dynamic=False) if compiled else network
