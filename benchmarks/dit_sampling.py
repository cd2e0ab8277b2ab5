"""What `sampling.py --backend dit` runs."""

from collections.abc import Sequence

import torch
from measuring import Run
from random_models import DEFECT, PRODUCT
from random_requests import pair_runs
from torch import Tensor

from pipeline_tasks.backends.dit import DitBackend
from pipeline_tasks.dit.generator import Generator
from pipeline_tasks.dit.guidance import DoubleFreeDenoiser, branches, double_free
from pipeline_tasks.dit.sampling import Denoise, Scene, batch_of, draw_scene, sample
from pipeline_tasks.dit.tdia import TDIA
from pipeline_tasks.dit.texts import Names, PartTexts, TextBook
from pipeline_tasks.params import Params

STRENGTH = 1.5


def dit_runs(generator: Generator, params: Params) -> dict[str, Run]:
    """Return the runs of the DiT by name, on the base's device and in its precision."""
    given = DitBackend(generator, params)  # it also moves the networks
    rendered, written = pair_runs(given, params.generate, generator.resolution_px)
    free = params.generate.model_copy(update={"dit": params.generate.dit.model_copy(update={"mode": "free"})})
    made, _ = pair_runs(
        DitBackend(generator, params.model_copy(update={"generate": free})), free, generator.resolution_px
    )
    return {
        **sampling_runs(generator, params),
        "DiT rendered pairs": rendered,
        "DiT whole pairs": written,
        "DiT free pairs": made,
    }


def sampling_runs(generator: Generator, params: Params) -> dict[str, Run]:
    """Return what samples and decodes a batch in each way."""
    own, base, count = params.generate.dit, generator.base, params.generate.batch_size
    side = generator.resolution_px // base.factor
    shape = (base.vae.config.latent_channels, side, side)
    batch = batch_of([draw_scene(seed, shape, own, STRENGTH).to(base.vae.device) for seed in range(count)])
    scheduler = type(generator.scheduler).from_config(generator.scheduler.config)
    scheduler.set_timesteps(own.steps)
    names = [Names(PRODUCT, DEFECT)] * count
    book = TextBook.of(base, names, one_prompt=False)
    texts = book.rows(branches(names, defective=True))
    one_pass, unshared = (
        DoubleFreeDenoiser(generator.tdia, shared, own.compile).condition(texts, batch) for shared in (True, False)
    )
    three = three_passes(generator.tdia, [book.rows(some) for some in by_branch(names)], batch, own.compile)

    def run(denoise: Denoise, *, mapped: bool = False) -> Run:
        return lambda: base.decode(sample(denoise, scheduler, batch, own, mapped).latents)

    return {
        "DiT": run(one_pass),
        "unshared": run(unshared),
        "three passes": run(three),
        "with maps": run(one_pass, mapped=True),
    }


def by_branch(names: Sequence[Names]) -> list[list[Names]]:
    """Return what each of the three branches sees."""
    rows, count = branches(names, defective=True), len(names)
    return [rows[start : start + count] for start in range(0, len(rows), count)]


def three_passes(tdia: TDIA, texts: Sequence[PartTexts], batch: Scene, compiled: bool) -> Denoise:
    """Return Eq. 4 with a pass for each branch; it records no maps."""
    network = torch.compile(tdia, dynamic=False) if compiled else tdia
    placed = [branch.to(batch.noise.device, tdia.dtype) for branch in texts]

    def denoise(latents: Tensor, time: int, mapped: bool) -> tuple[Tensor, None]:
        noised, times = latents.to(tdia.dtype), torch.full((len(latents),), time, device=latents.device)
        predicted = torch.cat([network(noised, times, branch).sample for branch in placed])
        return double_free(predicted.float(), batch.product_scale, batch.defect_scale), None

    return denoise
