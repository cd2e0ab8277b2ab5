"""TDIA: a diffusion transformer in three parts, background, defect and fusion, each with its text (DefectDiffu 3.2)."""

from typing import NamedTuple, cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import PatchEmbed
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn.functional import silu

from pipeline_tasks.dit.blocks import TextBlock
from pipeline_tasks.dit.texts import PartText, PartTexts


class TDIAOutput(NamedTuple):
    """The prediction [B, C, s, s] and, where asked for, maps [M, defect blocks * heads, n, n], float32 in 0..1.

    A map is the attention that a head of a defect block pays to the defect's name (Eq. 5); n = s / patch size.
    """

    sample: Tensor
    maps: Tensor | None


class TDIA(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Text-guided disentangled integrated architecture: predicts what the noise schedule asks for.

    sample_size: side s of the latents, in cells, that positions are told apart at; others work too. *_layers: blocks of
    the three parts (10, 10 and 8 for XL/2). A fresh one predicts 0 (DiT's start).
    """

    _supports_gradient_checkpointing = True

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        sample_size: int,
        in_channels: int,
        patch_size: int,
        num_attention_heads: int,
        attention_head_dim: int,
        cross_attention_dim: int,
        background_layers: int,
        defect_layers: int,
        fusion_layers: int,
    ) -> None:
        super().__init__()
        width = num_attention_heads * attention_head_dim
        self.gradient_checkpointing = False
        self.pos_embed = PatchEmbed(sample_size, sample_size, patch_size, in_channels, width)
        layers = background_layers + defect_layers + fusion_layers
        self.transformer_blocks = nn.ModuleList(
            TextBlock(num_attention_heads, attention_head_dim, cross_attention_dim) for _ in range(layers)
        )
        self.norm_out = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.proj_out_1 = nn.Linear(width, 2 * width)
        self.proj_out_2 = nn.Linear(width, patch_size**2 * in_channels)
        self._initialize()

    def _initialize(self) -> None:
        nn.init.xavier_uniform_(self.pos_embed.proj.weight.data.flatten(1))
        for tensor in (self.pos_embed.proj.bias, *self.proj_out_1.parameters(), *self.proj_out_2.parameters()):
            nn.init.zeros_(tensor)

    @property
    def parts(self) -> tuple[nn.ModuleList, nn.ModuleList, nn.ModuleList]:
        """The blocks of the background, the defect and the fusion part."""
        first = self.config.background_layers
        second = first + self.config.defect_layers
        blocks = self.transformer_blocks
        return blocks[:first], blocks[first:second], blocks[second:]

    def forward(
        self,
        latents: Tensor,
        times: Tensor,
        texts: PartTexts,
        continued: Tensor | None = None,
        mapped: slice | None = None,
    ) -> TDIAOutput:
        """Return the prediction for noised `latents` [B, C, s, s] at `times` [B] in 0..T-1.

        texts: background of B rows. continued [B']: the rows that go on after the background part, each any number of
        times (two of the three branches of Eq. 4 share it); texts.defect and texts.fusion have B' rows then, and the
        prediction too. mapped: which of those rows' maps are returned, computed unfused; None for none.
        """
        background, defect, fusion = self.parts
        hidden = self.pos_embed(latents).to(self.proj_out_1.weight.dtype)  # residuals in full precision under autocast
        hidden, _ = self._through(background, hidden, times, texts.background, texts.name, None)
        if continued is not None:
            hidden, times = hidden[continued], times[continued]
        hidden, maps = self._through(defect, hidden, times, texts.defect, texts.name, mapped)
        hidden, _ = self._through(fusion, hidden, times, texts.fusion, texts.name, None)
        side = latents.shape[-1] // self.config.patch_size
        sample = self._unpatched(self._projected(hidden, times), side)
        return TDIAOutput(sample, torch.cat(maps, dim=1).view(len(maps[0]), -1, side, side) if maps else None)

    def _through(
        self, blocks: nn.ModuleList, hidden: Tensor, times: Tensor, text: PartText, name: Tensor, mapped: slice | None
    ) -> tuple[Tensor, list[Tensor]]:
        maps = []
        for block in blocks:
            inputs = (hidden, times, text, name, mapped)
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden, shares = self._gradient_checkpointing_func(block, *inputs)
            else:
                hidden, shares = block(*inputs)
            if shares is not None:
                maps.append(shares)
        return hidden, maps

    def _projected(self, hidden: Tensor, times: Tensor) -> Tensor:
        """Return the patches [B, N, p * p * C]; DiT's last layer uses the first block's time embedding."""
        embedding = cast(TextBlock, self.transformer_blocks[0]).time_embedding(times, hidden.dtype)
        shift, scale = self.proj_out_1(silu(embedding)).chunk(2, dim=1)
        patches: Tensor = self.proj_out_2(self.norm_out(hidden) * (1 + scale[:, None]) + shift[:, None])
        return patches

    def _unpatched(self, patches: Tensor, side: int) -> Tensor:
        patch = self.config.patch_size
        cells = patches.view(len(patches), side, side, patch, patch, -1)
        return torch.einsum("nhwpqc->nchpwq", cells).flatten(4, 5).flatten(2, 3)
