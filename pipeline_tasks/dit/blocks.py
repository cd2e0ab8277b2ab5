"""A DiT block (Peebles & Xie 2023) that also attends to a text, and can say how much to the words of a name."""

from dataclasses import dataclass

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.normalization import AdaLayerNormZero
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from pipeline_tasks.dit.texts import PartText

TIME_CHANNELS = 256
"""Channels of the sinusoidal time embedding, as in every DiT."""


class TextBlock(nn.Module):
    """A DiT block with cross-attention to a text between self-attention and feed-forward; it begins as the identity.

    The attribute names are those of diffusers' DiT blocks, so that weights map by name; there the time embedding,
    which every block has of its own, sits in `norm1.emb`.
    """

    def __init__(self, heads: int, head_width: int, text_width: int) -> None:
        super().__init__()
        width = heads * head_width
        self.time_proj = Timesteps(TIME_CHANNELS, flip_sin_to_cos=True, downscale_freq_shift=1)
        self.timestep_embedder = TimestepEmbedding(TIME_CHANNELS, width)
        self.norm1 = AdaLayerNormZero(width)
        self.attn1 = Attention(width, heads=heads, dim_head=head_width, bias=True)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = Attention(width, text_width, heads=heads, dim_head=head_width, bias=True)
        self.norm3 = nn.LayerNorm(width, elementwise_affine=False)
        self.ff = FeedForward(width, activation_fn="gelu-approximate")
        self._initialize()

    def _initialize(self) -> None:
        """Begin as DiT does: Xavier, time embedding of deviation 0.02, and zeros where a residual is added."""
        for layer in (layer for layer in self.modules() if isinstance(layer, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        for layer in (self.timestep_embedder.linear_1, self.timestep_embedder.linear_2):
            nn.init.normal_(layer.weight, std=0.02)
        for layer in (self.norm1.linear, self.attn2.to_out[0]):
            nn.init.zeros_(layer.weight)

    def time_embedding(self, times: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the embedding [B, D] of `times` [B], 0..T-1."""
        embedded: Tensor = self.timestep_embedder(self.time_proj(times).to(dtype))
        return embedded

    def forward(
        self, hidden: Tensor, times: Tensor, text: PartText, name: Tensor, mapped: slice | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the block's output [B, N, D] and its map [M, heads, N] on the rows `mapped`, None where that is None.

        hidden: [B, N, D]; times: [B]; name: see `cross_attend`.
        """
        embedding = self.time_embedding(times, hidden.dtype)
        normed, gate, shift_ff, scale_ff, gate_ff = self.norm1(hidden, emb=embedding)
        hidden = hidden + gate[:, None] * self.attn1(normed)
        attended, shares = cross_attend(self.attn2, self.norm2(hidden), text, name, mapped)
        hidden = hidden + attended
        modulated = self.norm3(hidden) * (1 + scale_ff[:, None]) + shift_ff[:, None]
        return hidden + gate_ff[:, None] * self.ff(modulated), shares


def cross_attend(
    attn: Attention, hidden: Tensor, text: PartText, name: Tensor, mapped: slice | None
) -> tuple[Tensor, Tensor | None]:
    """Return softmax(QK^T / sqrt(d)) V, projected, [B, N, D], and on the rows `mapped` the name's share of the softmax.

    hidden: [B, N, D], the queries; name: bool [B, L], the tokens whose share is summed (DefectDiffu Eq. 5: averaged
    over all tokens it would be constant). The share is [M, heads, N] in 0..1, float32. Padding is not attended to.
    Only `mapped` rows materialise the softmax, [M, heads, N, L]; the others, or all without it, are fused.
    """
    projections = (attn.to_q(hidden), attn.to_k(text.embedding), attn.to_v(text.embedding))
    query, key, value = (x.unflatten(2, (attn.heads, -1)).transpose(1, 2) for x in projections)
    attention = _Attention(query, key, value, text.tokens)
    if mapped is None:
        attended, shares = attention.fused(), None
    else:
        first, last, _ = mapped.indices(len(hidden))
        before, after = attention.rows(slice(first)), attention.rows(slice(last, None))
        shown, shares = attention.rows(mapped).shown(name[mapped])
        attended = torch.cat([before.fused(), shown, after.fused()])
    projected: Tensor = attn.to_out[0](attended.transpose(1, 2).flatten(2))
    return projected, shares


@dataclass(frozen=True)
class _Attention:
    """Queries [B, heads, N, d]; keys and values [B, heads, L, d]; tokens, bool [B, L], False on padding."""

    query: Tensor
    key: Tensor
    value: Tensor
    tokens: Tensor

    def rows(self, rows: slice) -> "_Attention":
        return _Attention(self.query[rows], self.key[rows], self.value[rows], self.tokens[rows])

    def fused(self) -> Tensor:
        """Return what is attended to, [B, heads, N, d]."""
        if not len(self.query):
            return self.query
        return scaled_dot_product_attention(self.query, self.key, self.value, attn_mask=self.tokens[:, None, None])

    def shown(self, name: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same and the share of the tokens `name`, [B, heads, N]; Eq. 5 in float32 whatever is around it."""
        with torch.autocast(self.query.device.type, enabled=False):
            scores = self.query.float() @ self.key.float().transpose(2, 3) / self.query.shape[-1] ** 0.5
            weights = scores.masked_fill(~self.tokens[:, None, None], -torch.inf).softmax(dim=-1)
            shares = torch.einsum("bhqt,bt->bhq", weights, name.float())
            return (weights @ self.value.float()).to(self.value), shares
