"""Masks between two masks in latent space: DDIM inversion, slerp of the noises, DDIM back (DefectSynth Eq. 4)."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.views import Floats, mask_box, put_back, see_mask_as_picture
from pipeline_tasks.images.boxes import Box
from pipeline_tasks.images.codec import MASK_THRESHOLD, Mask

if TYPE_CHECKING:
    from diffusers import DDIMInverseScheduler, DDIMScheduler

PARALLEL = 0.9995
"""Noises with a larger cosine are interpolated linearly: there slerp divides nearly zero by nearly zero."""


class LatentMorph:
    """Draws the mask between two masks with a latent diffusion model that knows masks as images, white on black.

    Each mask is seen in the square around its defect (views.mask_box) at `resolution_px`; its noise is kept. `prompt`:
    the text embedding [1, tokens, width] of masks of the defect. `steps`: of inversion, and of sampling, each.
    """

    def __init__(self, base: BaseModel, resolution_px: int, prompt: Tensor, steps: int, dtype: torch.dtype) -> None:
        from diffusers import DDIMInverseScheduler, DDIMScheduler

        self.base, self.resolution_px, self.prompt, self.dtype = base, resolution_px, prompt, dtype
        alike = {"clip_sample": False, "timestep_spacing": "leading"}
        self.sampling = DDIMScheduler.from_config(base.scheduler.config, **alike)
        self.inversion = DDIMInverseScheduler.from_config(self.sampling.config)
        for schedule in (self.sampling, self.inversion):
            schedule.set_timesteps(steps, base.unet.device)
        self._noises: dict[bytes, Tensor] = {}

    def __call__(self, a: Mask, b: Mask, alpha: float) -> Mask:
        """Return the defect at `alpha`, 0..1, on the way from mask `a` to `b`, bool [H, W], as bool [S, S], px.

        S lies as far on the way, in ratio, from the side of the square around the one defect to that of the other; the
        defect is in its middle.
        """
        between = slerp(self._noise(a), self._noise(b), alpha)
        sides = np.log([mask_box(mask).height for mask in (a, b)])
        side = round(float(np.exp((1 - alpha) * sides[0] + alpha * sides[1])))
        pixels = self._decode(self._integrate(self.sampling, between))
        return np.asarray(put_back(pixels, Box(0, 0, side, side)).mean(axis=2) > MASK_THRESHOLD)

    def _noise(self, mask: Mask) -> Tensor:
        """Return the noise [1, C, h, w] from which sampling draws `mask`."""
        seen = see_mask_as_picture(mask, mask_box(mask), self.resolution_px)
        key = seen[0].tobytes()
        if key not in self._noises:
            self._noises[key] = self._integrate(self.inversion, self._encode(torch.from_numpy(seen)[None]))
        return self._noises[key]

    def _integrate(self, schedule: "DDIMScheduler | DDIMInverseScheduler", state: Tensor) -> Tensor:
        """Follow DDIM without noise (eta 0) from `state`, latents or noise [1, C, h, w], to its other end."""
        for time in schedule.timesteps:
            state = schedule.step(self._predict(state, time), time, state).prev_sample
        return state

    @torch.no_grad()
    def _predict(self, state: Tensor, time: Tensor) -> Tensor:
        seen = torch.cat([state, self._blank], dim=1) if self.base.inpaints else state
        with self._autocast():
            predicted: Tensor = self.base.unet(seen, time, self.prompt).sample
        return predicted.float()

    @cached_property
    def _blank(self) -> Tensor:
        """What the inpainting sibling is told beside the state, [1, C + 1, h, w]: nothing known, all to be painted."""
        known = self._encode(torch.zeros(1, 3, self.resolution_px, self.resolution_px))
        return torch.cat([torch.ones_like(known[:, :1]), known], dim=1)

    def _encode(self, pixels: Tensor) -> Tensor:
        with self._autocast():
            return self.base.encode(pixels).float()

    def _decode(self, latents: Tensor) -> Floats:
        with self._autocast():
            return self.base.decode(latents)[0].float().cpu().numpy()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.base.unet.device.type, self.dtype, enabled=self.dtype != torch.float32)


def slerp(a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """Return the point at `alpha` of the way from `a` to `b` [B, ...] along their great circle, per sample.

    sin((1 - alpha) w) / sin w a + sin(alpha w) / sin w b, w the angle between them (DefectSynth Eq. 4; Shoemake 1985).
    """
    cosine = torch.nn.functional.cosine_similarity(a.flatten(1), b.flatten(1)).view(-1, *[1] * (a.dim() - 1))
    angle = torch.arccos(cosine.clamp(-PARALLEL, PARALLEL))
    round_way = (torch.sin((1 - alpha) * angle) * a + torch.sin(alpha * angle) * b) / torch.sin(angle)
    return torch.where(cosine.abs() > PARALLEL, (1 - alpha) * a + alpha * b, round_way)
