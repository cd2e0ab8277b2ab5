"""What a TDIA and its mask head are trained to minimise (DefectDiffu Eq. 6 to 11)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor
from torch.nn.functional import avg_pool2d

from pipeline_tasks.diffusion.targets import target
from pipeline_tasks.dit.encoded_views import Seen
from pipeline_tasks.generator_params import TrainDit

if TYPE_CHECKING:
    from diffusers import DDIMScheduler


class Prediction(NamedTuple):
    """For B images, [B, C, s, s]; for the first M the maps of attention [M, K, n, n] and mask features [M, C, s, s]."""

    sample: Tensor
    maps: Tensor
    features: Tensor


@dataclass(frozen=True)
class Objective:
    """The adaptive attention-enhanced loss (Eq. 11): denoising error + R x that of the defect + lambda x the mask's.

    Our readings: every squared norm is a mean over channels and cells, so that the second term stays as small for a
    small defect as Eq. 10 has it. The last two terms are taken where the defect's own name is given: an image called
    good must not attend to a defect. The target is the noise schedule's: noise, as in the paper, or velocity. The
    whole is a mean over images, so that the mean over the equal parts of a batch is that of the batch.
    """

    scheduler: "DDIMScheduler"
    params: TrainDit

    def __call__(self, predicted: Prediction, seen: Seen, noise: Tensor, times: Tensor, named: Tensor) -> Tensor:
        """Return the loss, a scalar, of what is predicted from `seen`, noised by `noise` [B, C, s, s] to `times` [B].

        named: bool [B], whether an image's defect was named; it was not in those after the first M.
        """
        error = (predicted.sample.float() - target(self.scheduler, seen.latents, noise, times)).square()
        count = len(predicted.maps)
        mask, attention = seen.mask[:count], predicted.maps.float().mean(dim=1)
        ratio = clamped(attention_ratio(attention, mask, self.params.ratio_floor), self.params).detach()
        of_mask = (predicted.features.float() - seen.mask_latents[:count]).square().mean(dim=(1, 2, 3))
        of_defect = ratio * defect_error(error[:count], mask) + self.params.mask_weight * of_mask
        return error.mean() + (named[:count] * of_defect).sum() / len(error)


def attention_ratio(attention: Tensor, mask: Tensor, floor: float) -> Tensor:
    """Return Rat [M], how much more attention lies outside the mask than inside (Eq. 8, alpha = `floor`).

    attention: [M, n, n], the mean map (Eq. 7); mask: [M, 1, s, s], the share of each cell that is defect. It is
    averaged to the map's size, so that a thin defect counts.
    """
    inside = avg_pool2d(mask, mask.shape[-1] // attention.shape[-1])[:, 0]
    on_defect = (inside * attention).sum(dim=(1, 2))
    return ((1 - inside) * attention).sum(dim=(1, 2)) / (on_defect + floor)


def clamped(ratio: Tensor, params: TrainDit) -> Tensor:
    """Return R: the ratio between ratio_min and ratio_max (Eq. 9)."""
    return ratio.clamp(params.ratio_min, params.ratio_max)


def defect_error(error: Tensor, mask: Tensor) -> Tensor:
    """Return the norm of Eq. 10, |mask x predicted - mask x target|^2 [M], from the squared `error` [M, C, s, s]."""
    return (mask.square() * error).mean(dim=(1, 2, 3))
