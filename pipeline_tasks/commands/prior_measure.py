"""`defectline prior measure`: the prior -> its loss on scenes that it has not seen."""

from functools import partial
from pathlib import Path

MODEL = Path("model")
METRICS = Path("metrics.json")


def prior_measure() -> None:
    """Measure the prior, and beside it a network of random weights, on held-out scenes."""
    import torch

    from pipeline_tasks.diffusion.device import pick_device, pick_dtype
    from pipeline_tasks.drawing.scene import draw_scene
    from pipeline_tasks.drawing.world import load_world
    from pipeline_tasks.inpainting.network import make_unet
    from pipeline_tasks.inpainting.prior_files import read_prior
    from pipeline_tasks.inpainting.prior_weights import load_prior
    from pipeline_tasks.prior.measure import measure_scene, summarise
    from pipeline_tasks.prior.params import load_params
    from pipeline_tasks.progress import track
    from pipeline_tasks.storage import write_json

    params = load_params()
    own, channels, window_px = params.measure, params.train.channels, params.train.blocks.window_px
    torch.set_num_threads(own.threads)
    device = pick_device(own.device)
    prior, random = load_prior(MODEL, read_prior(MODEL)["digest"], channels, 0), make_unet(0, channels, params.seed)
    measured = partial(
        measure_scene,
        (prior.eval().to(device), random.eval().to(device)),
        partial(draw_scene, load_world()),
        params.seed,
        window_px=window_px,
        wide_every=own.wide_every,
        device=device,
        dtype=pick_dtype(own.precision, device),
    )
    found = summarise(measured(number) for number in track(range(own.scenes), "held-out scenes"))
    write_json(METRICS, found)
    print(f"{METRICS}: loss {found['loss']:.3f}, of random weights {found['untrained']:.3f}")
