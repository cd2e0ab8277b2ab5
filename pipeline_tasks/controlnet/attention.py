"""Selective Attention Enhancement: more attention where a defect is unlike a real one (DefectSynth section III-D).

Eq. 8 scales rows of the attention matrix: fused attention's output can be scaled instead, and there is no such matrix.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, scaled_dot_product_attention

from pipeline_tasks.generator_params import Sae

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import Attention


def weight_map(reference: Tensor, latents: Tensor, mask: Tensor, params: Sae) -> Tensor:
    """Return w_m [B, 1, h, w] of Eq. 7, from 1 up: |M|_1 * softmax(mean_c((M * (z'_r - z))^2)) + 1.

    reference: the aligned z'_r [B, C, h, w]; latents: z, of the same shape; mask: M [B, 1, h, w] in {0, 1}. The softmax
    goes over the masked cells, so that the weight is 1 outside, or (`all`, the paper) over every cell; then the weights
    are cut off at params.cap, if it is not 0. An empty mask gives ones.
    """
    difference = (mask * (reference - latents)).square().mean(dim=1, keepdim=True)
    if params.softmax == "masked":
        difference = difference.masked_fill(mask == 0, -torch.inf)
    shares = difference.flatten(1).softmax(dim=1).nan_to_num(0).view_as(mask)
    weights = mask.sum(dim=(1, 2, 3), keepdim=True) * shares + 1
    return weights.clamp(max=params.cap) if params.cap else weights


class RowWeights:
    """The weights of a UNet's query positions in the step at hand: set before it runs, read by its cross-attention."""

    def __init__(self, levels: int) -> None:
        """`levels` is how many resolutions the UNet has, each half the one before, rounded up."""
        self._levels = levels
        self._by_tokens: dict[int, Tensor] = {}

    def set(self, weights: Tensor) -> None:
        """Take w_m [B, 1, h, w]; a coarser layer's query weighs the mean of its cells."""
        height, width = weights.shape[-2:]
        for _ in range(self._levels):
            pooled = adaptive_avg_pool2d(weights, (height, width))
            self._by_tokens[height * width] = pooled.flatten(2).transpose(1, 2)
            height, width = (height + 1) // 2, (width + 1) // 2

    def of(self, tokens: int) -> Tensor:
        """Return the weights [B, tokens, 1] of a layer with so many query positions."""
        return self._by_tokens[tokens]


class WeighedCrossAttention:
    """Attention processor (diffusers) for a UNet's cross-attention: w_m * softmax(QK^T / sqrt(d)) V, Eq. 8.

    As diffusers' AttnProcessor2_0 in a transformer block, but for the weights. They act before the output projection,
    whose bias they leave as it is.
    """

    def __init__(self, weights: RowWeights) -> None:
        self._weights = weights

    def __call__(
        self,
        attn: "Attention",
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Return the attention of `hidden_states` [B, tokens, C] to the text, [B, tokens, C]. No text is masked."""
        batch, tokens, _ = hidden_states.shape
        projections = (attn.to_q(hidden_states), attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states))
        query, key, value = (x.unflatten(2, (attn.heads, -1)).transpose(1, 2) for x in projections)
        attended = scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, tokens, -1)
        project, dropout = attn.to_out
        projected: Tensor = dropout(project(attended * self._weights.of(tokens)))
        return projected


def weigh_cross_attention(unet: "UNet2DConditionModel") -> RowWeights:
    """Install Eq. 8 in every cross-attention layer of `unet` (attn2) and return what its weights are set by."""
    weights = RowWeights(len(unet.config.block_out_channels))
    weighed = WeighedCrossAttention(weights)
    processors = unet.attn_processors.items()
    unet.set_attn_processor({name: weighed if "attn2" in name else old for name, old in processors})
    return weights
