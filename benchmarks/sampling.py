"""Sampling speed, side by side on random weights: the ControlNet against diffusers, or the DiT against the ControlNet.

    python benchmarks/sampling.py                                      # small models, on a CPU
    python benchmarks/sampling.py --backend dit
    python benchmarks/sampling.py --size sd15 --resolution 256 --batch 32 --compile       # on a GPU
    python benchmarks/sampling.py --size sd15 --resolution 256 --batch 32 --compile --backend dit   # DiT-XL/2

Runs that have no "pairs" in their name use the same shapes and steps and decode, nothing else. "rendered pairs" also
encode normal images, blend at each step and decode twice (the ControlNet's encode references, align and fuse too);
"whole pairs" also decode PNGs, score, composite and encode, on --threads threads. Of the DiT's: "three passes" is Eq. 4
of DefectDiffu with a pass for each branch, "unshared" in one pass without a common background part, "with maps"
records the attention masks as well, and "free pairs" are rendered with their own masks and normal images. Repeats are
interleaved; times are medians.
"""

import argparse
import copy
from dataclasses import replace
from statistics import median

import torch
from diffusers import StableDiffusionControlNetPipeline
from dit_sampling import dit_runs
from measuring import Run, interleaved, peak_memory, print_rate, print_times, profiled, ratio
from random_models import PROMPT, random_base, random_control, random_dit
from random_requests import pair_runs

from pipeline_tasks.backends.controlnet import ControlNetBackend
from pipeline_tasks.controlnet.generator import Generator
from pipeline_tasks.controlnet.guidance import GuidedDenoiser
from pipeline_tasks.controlnet.sampling import Scene, batch_of, sample
from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.diffusion.blending import draw_noise
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.params import Params, load_params

RATIOS = {
    "controlnet": [
        ("SAE", "plain"),
        ("plain", "diffusers"),
        ("rendered pairs", "SAE"),
        ("whole pairs", "rendered pairs"),
    ],
    "dit": [
        ("three passes", "DiT"),
        ("unshared", "DiT"),
        ("with maps", "DiT"),
        ("DiT", "plain"),
        ("DiT whole pairs", "whole pairs"),
        ("DiT free pairs", "DiT rendered pairs"),
    ],
}
"""What is divided by what, by backend."""


def options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["controlnet", "dit"], default="controlnet")
    parser.add_argument("--size", choices=["small", "sd15"], default="small", help="of the base; with sd15 a DiT-XL/2")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--guidance", type=float, default=1.0, help="of the ControlNet")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="tell where whole pairs spend their time")
    return parser.parse_args()


def with_sampling(params: Params, asked: argparse.Namespace, *, enhanced: bool, blend: str) -> Params:
    """Return `params` for this benchmark, with or without SAE."""
    values = params.model_dump(by_alias=True)
    generate = values["generate"] | dict.fromkeys(("batch_size", "block_pairs", "shard_pairs"), asked.batch)
    generate["threads"] = asked.threads
    shared = {"steps": asked.steps, "compile": asked.compile, "blend": blend}
    control, dit = generate["controlnet"] | shared, generate["dit"] | shared
    control |= {"guidance_scale": asked.guidance, "sae": control["sae"] | {"enabled": enhanced}}
    return Params.model_validate(values | {"generate": generate | {"controlnet": control, "dit": dit}})


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


def control_runs(base: BaseModel, asked: argparse.Namespace, params: Params) -> dict[str, Run]:
    """Return the runs of the ControlNet by name; beside the DiT only those that it is compared with."""
    control = random_control(base).to(base.unet.device).to(memory_format=torch.channels_last)
    torch.nn.Module.to(control, dtype=base.unet.dtype)
    scenes = [scene(base, asked.resolution, number) for number in range(asked.batch)]
    plain, enhanced = (with_sampling(params, asked, enhanced=on, blend="end") for on in (False, True))
    whole = with_sampling(params, asked, enhanced=True, blend="each_step")
    generator = Generator(replace(base, unet=copy.deepcopy(base.unet)), control, asked.resolution, "window")
    rendered, written = pair_runs(ControlNetBackend(generator, whole), whole.generate, asked.resolution)
    compared = {"plain": sampling_run(base, control, plain, scenes), "whole pairs": written}
    if asked.backend == "dit":
        return compared
    return {
        "diffusers": diffusers_run(base, control, asked, scenes),
        "SAE": sampling_run(base, control, enhanced, scenes),
        "rendered pairs": rendered,
        **compared,
    }


@torch.inference_mode()
def main() -> None:
    """Measure."""
    asked, params = options(), load_params()
    torch.set_num_threads(asked.threads)
    device = pick_device(params.generate.device)
    dtype = pick_dtype(params.generate.precision, device)
    base = random_base(asked.size, params.pretrain, asked.resolution)
    base.to(device, dtype)
    runs = control_runs(base, asked, params)
    if asked.backend == "dit":
        generator = random_dit(base, asked.size, params.train.dit, asked.resolution)
        runs |= dit_runs(generator, with_sampling(params, asked, enhanced=True, blend="each_step"))
    times = interleaved(runs, asked.repeats)
    print(f"{asked.size}, {device}, {dtype}: {asked.batch} images of {asked.resolution} px, {asked.steps} steps")
    print_times(times, asked.batch)
    for one, other in RATIOS[asked.backend]:
        print(f"{one} / {other}: {ratio(times, one, other):.3f}")
    sampled, written = ("DiT", "DiT whole pairs") if asked.backend == "dit" else ("plain", "whole pairs")
    print_rate(sampled, runs[sampled], median(times[sampled]), asked.batch, device, dtype)
    print(f"peak memory: {peak_memory():.1f} GiB")
    if asked.profile:
        print(profiled(runs[written]))


if __name__ == "__main__":
    main()
