"""What a denoiser is trained to predict."""

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from diffusers import DDIMScheduler


def target(scheduler: "DDIMScheduler", latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """Return what the network should predict: noise, velocity (Salimans & Ho 2022) or the clean latents."""
    match scheduler.config.prediction_type:
        case "v_prediction":
            velocity: Tensor = scheduler.get_velocity(latents, noise, times)
            return velocity
        case "sample":
            return latents
        case _:
            return noise
