"""The mask generation module: from the defect blocks' attention to the latents of a mask (DefectDiffu Eq. 6)."""

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

WIDTH = 64
GROUPS = 8
SMALLEST_SHARE = 1e-4
"""Shares are kept this far from 0 and 1, where log-odds are infinite."""


class MaskHead(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Turns maps [M, K, n, n] into mask features M_f [M, C, s, s], s = n * patch size: the latents of the mask.

    The mask is seen as a picture (diffusion.views.see_mask_as_picture), encoded by the base's codec; the squared
    error to these latents is loss_m.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, map_channels: int, latent_channels: int, patch_size: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(map_channels, WIDTH, 1)
        self.norm = nn.GroupNorm(GROUPS, WIDTH)
        self.coarse = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.fine = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.out = nn.Conv2d(WIDTH, latent_channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return M_f of `maps`, shares in 0..1 as tdia.TDIAOutput has them.

        They are read as log-odds, the scores before the softmax: small shares differ as much as large ones.
        """
        hidden = self.mix(maps.logit(SMALLEST_SHARE))
        hidden = hidden + self.coarse(silu(self.norm(hidden)))
        hidden = interpolate(hidden, scale_factor=self.config.patch_size, mode="bilinear")
        features: Tensor = self.out(silu(hidden + self.fine(silu(hidden))))
        return features
