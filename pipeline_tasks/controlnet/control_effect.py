"""Whether the control is real: the denoising error inside the masks, with the right masks and with others'."""

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.controlnet.encoded_views import BATCH, EncodedViews
from pipeline_tasks.controlnet.generator import Generator
from pipeline_tasks.controlnet.network import ControlledUNet
from pipeline_tasks.controlnet.objective import alignment_error
from pipeline_tasks.diffusion.targets import target
from pipeline_tasks.errors import DataError
from pipeline_tasks.seeds import derive_seed

TIMES = 10
"""Times at which each view is denoised, spread evenly over the noise schedule."""


@torch.no_grad()
def measure_control(generator: Generator, views: EncodedViews, views_per_image: int) -> dict[str, float]:
    """Return the mean denoising error inside the defects of `views`: {"true": ..., "shuffled": ...}.

    'true' gives the ControlNet each view's own mask, 'shuffled' that of a view of another image. Times and noise are
    fixed, and the error is taken inside the view's own mask both times. Raises DataError for views of one image alone.
    """
    images = views.defects // views_per_image
    if images < 2:
        raise DataError("masks of one image cannot be shuffled: give the views of two defect images or more")
    own = torch.arange(views.defects)
    given = {"true": own, "shuffled": own.roll(images // 2 * views_per_image)}
    return {name: _mean_error(generator, views, masks) for name, masks in given.items()}


def _mean_error(generator: Generator, views: EncodedViews, masks: Tensor) -> float:
    """Return the error at all times; `masks` [defects] says whose mask each view is given."""
    every = generator.base.scheduler.config.num_train_timesteps
    errors = []
    for number in range(TIMES):
        rng = np.random.default_rng(derive_seed(0, "control effect", number))
        noise = torch.from_numpy(rng.standard_normal((len(masks), *views.latents.shape[1:]), np.float32))
        for start in range(0, len(masks), BATCH):
            batch = slice(start, start + BATCH)
            time = int((number + 0.5) / TIMES * every)
            errors.append(_errors(generator, views, torch.arange(len(masks))[batch], masks[batch], noise[batch], time))
    return float(torch.cat(errors).mean())


def _errors(generator: Generator, views: EncodedViews, own: Tensor, given: Tensor, noise: Tensor, time: int) -> Tensor:
    """Return the error [B] of the views `own` [B] inside their masks, with the masks of the views `given` [B]."""
    scheduler, device = generator.base.scheduler, generator.control.device
    network, dtype = ControlledUNet(generator.base.unet, generator.control), generator.base.unet.conv_in.weight.dtype
    seen = views.pick(own, views.prompts[own], device)
    noise, times = noise.to(device), torch.full((len(own),), time, device=device)
    noised = scheduler.add_noise(seen.latents, noise, times)
    mask = views.masks[given].to(device).float()
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        predicted = network(noised, times, seen.text, mask, seen.known)
    error = (predicted.float() - target(scheduler, seen.latents, noise, times)).square()
    return alignment_error(error, seen.mask)
