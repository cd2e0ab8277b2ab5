"""Sampling speed, side by side on random weights: diffusers' pipeline, ours plain, with SAE, and whole pairs.

    python benchmarks/sampling.py                                      # a small base, on a CPU
    python benchmarks/sampling.py --size sd15 --resolution 256 --batch 32 --compile       # on a GPU

The first three run the same networks over the same shapes and steps, and decode. "rendered" also encodes normal images
and references, aligns, blends at each step, fuses (SFF, AFF) and decodes twice; "whole pairs" also decodes PNGs,
scores, composites and encodes, on --threads threads. Repeats are interleaved; times are medians.
"""

import argparse
import copy
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from diffusers import StableDiffusionControlNetPipeline
from random_models import PROMPT, random_base, random_control
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from pipeline_tasks.backends.controlnet import ControlNetBackend
from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.backends.protocol import RealDefect, Request
from pipeline_tasks.controlnet.generator import Generator
from pipeline_tasks.controlnet.guidance import GuidedDenoiser
from pipeline_tasks.controlnet.sampling import Scene, batch_of, draw_noise, sample
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.images.codec import decode_image, decode_mask, encode_image, encode_mask
from pipeline_tasks.params import Params, load_params
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import MaskRow, Sample

Run = Callable[[], object]
COLUMNS = ("parent_a", "normal_path")


def options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["small", "sd15"], default="small")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="tell where whole pairs spend their time")
    return parser.parse_args()


def with_sampling(params: Params, asked: argparse.Namespace, *, enhanced: bool, blend: str) -> Params:
    """Return `params` for this benchmark, with or without SAE."""
    values = params.model_dump(by_alias=True)
    generate = values["generate"] | dict.fromkeys(("batch_size", "block_pairs", "shard_pairs"), asked.batch)
    generate["threads"] = asked.threads
    own = generate["controlnet"] | {"steps": asked.steps, "guidance_scale": asked.guidance, "compile": asked.compile}
    own |= {"blend": blend, "sae": own["sae"] | {"enabled": enhanced}}
    return Params.model_validate(values | {"generate": generate | {"controlnet": own}})


def scene(base: BaseModel, resolution_px: int, number: int) -> Scene:
    """Return a scene of noise with a square mask, on the base's device."""
    side = resolution_px // base.factor
    mask = torch.zeros(1, side, side)
    mask[:, side // 4 : side // 2, side // 4 : side // 2] = 1
    shape = (base.vae.config.latent_channels, side, side)
    control = mask.repeat_interleave(base.factor, 1).repeat_interleave(base.factor, 2).expand(3, -1, -1)
    normal, noise, reference = (draw_noise(3 * number + draw, shape) for draw in range(3))
    text = base.embed([PROMPT])[0]
    return Scene(normal, mask, mask, noise, text, control, reference).to(base.unet.device)


def sampling_run(base: BaseModel, control: torch.nn.Module, params: Params, scenes: list[Scene]) -> Run:
    """Return what samples and decodes the scenes."""
    own = params.generate.controlnet
    denoiser = GuidedDenoiser(replace(base, unet=copy.deepcopy(base.unet)), control, own)
    scheduler = type(base.scheduler).from_config(base.scheduler.config)
    scheduler.set_timesteps(own.steps)
    batch = batch_of(scenes, len(scenes))
    return lambda: base.decode(sample(denoiser.condition(batch), scheduler, batch, own))


def diffusers_run(base: BaseModel, control: torch.nn.Module, asked: argparse.Namespace, scenes: list[Scene]) -> Run:
    """Return what does the same with diffusers' pipeline."""
    parts = (base.vae, base.text_encoder, base.tokenizer, copy.deepcopy(base.unet), control, base.scheduler)
    pipeline = StableDiffusionControlNetPipeline(*parts, None, None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    if asked.compile:
        pipeline.unet, pipeline.controlnet = (torch.compile(n, dynamic=False) for n in parts[3:5])
    batch, dtype = batch_of(scenes, len(scenes)), base.unet.dtype
    given = {
        "prompt_embeds": batch.text,
        "negative_prompt_embeds": batch.text,
        "image": batch.control.to(dtype),
        "latents": batch.noise.to(dtype),
        "num_inference_steps": asked.steps,
        "guidance_scale": asked.guidance,
        "output_type": "pt",
    }
    return lambda: pipeline(**given)


def pair_runs(base: BaseModel, control: torch.nn.Module, params: Params, resolution_px: int) -> tuple[Run, Run]:
    """Return what renders a block of pairs, and what also scores, composites and encodes it, as `generate` does."""
    generator = Generator(replace(base, unet=copy.deepcopy(base.unet)), control, resolution_px, "window")
    backend, count = ControlNetBackend(generator, params), params.generate.batch_size
    rows = [mask_row(number, 2 * resolution_px, resolution_px // 4) for number in range(count)]
    real, normals = ({path: noise_sample(path, 2 * resolution_px) for path in paths(rows, of)} for of in COLUMNS)
    prompts = PromptBook({"plate": {"scratch": PROMPT}}, {})
    requests = [request(row, real[row.parent_a], normals[row.normal_path]) for row in rows]
    every = params.generate.model_copy(update={"min_alignment": 0.0})
    return (
        lambda: backend.render(requests, {}),
        lambda: list(make_pairs(backend, rows, real, normals, prompts, every)),
    )


def paths(rows: list[MaskRow], column: str) -> set[str]:
    """Return the distinct values of a column."""
    return {getattr(row, column) for row in rows}


def mask_row(number: int, side: int, extent: int) -> MaskRow:
    """Return a square mask somewhere in an image, on a normal image of its own."""
    mask = np.zeros((side, side), bool)
    y, x = np.random.default_rng(number).integers(0, side - extent, 2)
    mask[y : y + extent, x : x + extent] = True
    return MaskRow(
        pair_index=number,
        product="plate",
        defect="scratch",
        seed=number,
        normal_path=f"good/{number}.png",
        normal_sha256="",
        kind="transformed",
        kind_reason="",
        parent_a=f"scratch/{number % 10}.png",
        parent_b=f"scratch/{number % 10}.png",
        alpha=0.0,
        warp=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        placement=0.0,
        attempts=1,
        mask_area_px=int(mask.sum()),
        mask=encode_mask(mask),
    )


def noise_sample(path: str, side: int) -> Sample:
    """Return a sample of noise, with a square defect in its middle."""
    pixels = np.random.default_rng([*path.encode()]).integers(90, 160, (side, side, 3), dtype=np.uint8)
    mask = np.zeros((side, side), bool)
    mask[side * 3 // 8 : side * 5 // 8, side * 3 // 8 : side * 5 // 8] = True
    area = int(mask.sum())
    size = (side, side, area, area / mask.size)
    return Sample("plate", "scratch", "base", path, "", 1, *size, None, encode_image(pixels), encode_mask(mask))


def request(row: MaskRow, real: Sample, normal: Sample) -> Request:
    """Return the request that a row makes."""
    parent = RealDefect(decode_image(real.image), decode_mask(real.mask or b""))
    return Request(row, decode_image(normal.image), decode_mask(row.mask), PROMPT, parent, parent, seed=row.seed)


def profiled(run: Run) -> str:
    """Return where `run` spends its time, the costliest operations first."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=kinds) as profiler:
        run()
        synchronise()
    order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    return str(profiler.key_averages().table(sort_by=order, row_limit=15, max_name_column_width=60))


def seconds(run: Run) -> float:
    """Return how long `run` takes."""
    synchronise()
    begun = time.perf_counter()
    run()
    synchronise()
    return time.perf_counter() - begun


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the measured FLOP/s of a large matrix product."""
    side = 8192 if device.type == "cuda" else 1024
    one = torch.randn(side, side, device=device, dtype=dtype)
    return 2 * side**3 / median(seconds(lambda: one @ one) for _ in range(10))


def counted_flops(run: Run) -> float:
    """Return the FLOPs of `run`."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def peak_memory() -> str:
    """Return the most memory used so far."""
    if torch.cuda.is_available():
        return f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB on the GPU"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB"


def report(asked: argparse.Namespace, times: dict[str, list[float]], flops: float, rate: float) -> None:
    """Print what was measured."""
    middle = {name: median(values) for name, values in times.items()}
    for name, value in middle.items():
        spread = f"{min(times[name]):.3f}..{max(times[name]):.3f}"
        print(f"{name:14} {value:8.3f} s ({spread})  {asked.batch / value:7.2f} images/s")
    paired = [enhanced / plain for enhanced, plain in zip(times["SAE"], times["plain"], strict=True)]
    print(f"SAE / plain: {median(paired):.3f} (goal <= 1.02)")
    print(f"plain / diffusers: {middle['plain'] / middle['diffusers']:.3f}")
    print(f"rendered / SAE: {middle['rendered'] / middle['SAE']:.3f}")
    print(f"whole pairs / rendered: {middle['whole pairs'] / middle['rendered']:.3f}")
    reached = flops / middle["plain"]
    print(f"plain: {flops / asked.batch / 1e9:.1f} GFLOP an image, {reached / 1e12:.2f} TFLOP/s")
    print(f"of the matrix product's {rate / 1e12:.2f} TFLOP/s: {reached / rate:.0%} (goal on a GPU: >= 50%)")
    print(f"peak memory: {peak_memory()}")


@torch.inference_mode()
def main() -> None:
    """Measure."""
    asked, params = options(), load_params()
    torch.set_num_threads(asked.threads)
    device = pick_device(params.generate.device)
    dtype = pick_dtype(params.generate.precision, device)
    base = random_base(asked.size, params.pretrain, asked.resolution)
    control = random_control(base).to(device).to(memory_format=torch.channels_last)
    torch.nn.Module.to(control, dtype=dtype)
    base.to(device, dtype)
    scenes = [scene(base, asked.resolution, number) for number in range(asked.batch)]
    plain, enhanced = (with_sampling(params, asked, enhanced=on, blend="end") for on in (False, True))
    whole = with_sampling(params, asked, enhanced=True, blend="each_step")
    rendered, written = pair_runs(base, control, whole, asked.resolution)
    runs = {
        "diffusers": diffusers_run(base, control, asked, scenes),
        "plain": sampling_run(base, control, plain, scenes),
        "SAE": sampling_run(base, control, enhanced, scenes),
        "rendered": rendered,
        "whole pairs": written,
    }
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(asked.repeats):
        for name, run in runs.items():
            times[name].append(seconds(run))
    print(f"{asked.size}, {device}, {dtype}: {asked.batch} images of {asked.resolution} px, {asked.steps} steps")
    flops = counted_flops(sampling_run(base, control, plain, scenes))
    report(asked, times, flops, matmul_rate(device, dtype))
    if asked.profile:
        print(profiled(written))


if __name__ == "__main__":
    main()
