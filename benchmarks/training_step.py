"""A training step of ours, on cached views and texts, against a plain loop that encodes image and text at every step.

    python benchmarks/training_step.py                                              # a small base, on a CPU
    python benchmarks/training_step.py --size sd15 --resolution 512 --batch 8       # on a GPU
    python benchmarks/training_step.py --size sd15 --resolution 256 --batch 32 --backend dit      # DiT-XL/2

Both train the same network on the same frozen base with random weights: same batch, shapes, precision and optimiser,
no moving average. Each runs in processes of its own, taking turns, so that peak memory is its own; times are medians.
With `--backend dit` the ControlNet's step, on cached views, stands beside them.
"""

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from dit_training import VIEWS, NoCheckpoints, Progress, dit, plain_dit
from measuring import peak_memory, synchronise
from random_models import PROMPT, random_base

from pipeline_tasks.controlnet.encoded_views import EncodedViews
from pipeline_tasks.controlnet.network import ControlledUNet, make_control
from pipeline_tasks.controlnet.training import train
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.params import Train, load_params

PARAMS = Path(__file__).parents[1] / "params.yaml"


def options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["controlnet", "dit"], default="controlnet")
    parser.add_argument("--size", choices=["small", "sd15"], default="small", help="of the base; with sd15 a DiT-XL/2")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20, help="per repeat; the first quarter is not counted")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def ours(base: BaseModel, asked: argparse.Namespace, params: Train, progress: Progress) -> None:
    """Train as the trainer does. What it encodes once is drawn here instead: its time is not a step's."""
    from accelerate import Accelerator

    device = pick_device("auto")
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")
    side = asked.resolution // base.factor
    latents = torch.randn(VIEWS, base.vae.config.latent_channels, side, side)
    masks = torch.rand(VIEWS, 1, asked.resolution, asked.resolution) < 0.1
    texts, prompts = base.embed(["", PROMPT]), torch.ones(VIEWS, dtype=torch.long)
    views = EncodedViews(latents, masks, None, texts, prompts)
    base.vae.cpu()
    base.text_encoder.cpu()
    train(base, make_control(base, 0), views, accelerator, params, 0, NoCheckpoints(), progress)


def plain(base: BaseModel, asked: argparse.Namespace, params: Train, progress: Progress) -> None:
    """Train as diffusers' train_controlnet.py does: encoders in the loop, losses read at every step."""
    device = pick_device("auto")
    dtype = pick_dtype("auto", device)
    base.to(device, dtype if device.type == "cuda" else torch.float32)
    network = ControlledUNet(base.unet, make_control(base, 0).to(device, memory_format=torch.channels_last))
    optimizer = torch.optim.AdamW(network.control.parameters(), lr=params.learning_rate)
    pixels = torch.rand(VIEWS, 3, asked.resolution, asked.resolution) * 2 - 1
    masks = (torch.rand(VIEWS, 1, asked.resolution, asked.resolution) < 0.1).float()
    for _ in progress(range(params.steps)):
        chosen, times = torch.randint(VIEWS, (params.batch_size,)), torch.randint(1000, (params.batch_size,)).to(device)
        latents, text = base.encode(pixels[chosen]).float(), base.embed([PROMPT] * params.batch_size).float()
        noise = torch.randn_like(latents)
        noised = base.scheduler.add_noise(latents, noise, times)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            predicted = network(noised, times, text, masks[chosen].to(device), None)
        loss = (predicted.float() - base.scheduler.get_velocity(latents, noise, times)).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.control.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()


WAYS = {
    "controlnet": {"ours": ours, "plain": plain},
    "dit": {"ours": dit, "plain": plain_dit, "ControlNet": ours},
}


def measure(way: str, asked: argparse.Namespace) -> tuple[float, float]:
    """Return the median seconds of a step and the peak memory in GiB, of the GPU where there is one."""
    torch.set_num_threads(asked.threads)
    params = load_params(PARAMS)
    changes = {"steps": asked.steps, "batch_size": asked.batch, "ema_decay": 0.0, "normal_fraction": 0.0}
    begun: list[float] = []

    def progress(steps: range) -> Iterator[int]:
        for step in steps:
            synchronise()
            begun.append(time.perf_counter())
            yield step

    base = random_base(asked.size, params.pretrain, asked.resolution).to(pick_device("auto"))
    WAYS[asked.backend][way](base, asked, params.train.model_copy(update=changes), progress)
    counted = begun[asked.steps // 4 :]
    seconds = [after - before for before, after in pairwise(counted)]
    return median(seconds), peak_memory()


def main() -> None:
    """Measure the ways in turns and print their ratios."""
    asked = options()
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS[asked.backend]}
    for _ in range(asked.repeats):
        for way, results in found.items():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                results.append(pool.apply(measure, (way, asked)))
    seconds = {way: median(step for step, _ in results) for way, results in found.items()}
    for way, results in found.items():
        print(f"{way:10} {seconds[way] * 1e3:8.1f} ms a step, peak memory {max(peak for _, peak in results):.2f} GiB")
    for way in [way for way in found if way != "ours"]:
        print(f"{way} / ours: {seconds[way] / seconds['ours']:.2f}")


if __name__ == "__main__":
    main()
