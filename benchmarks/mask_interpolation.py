"""Masks per second, side by side: between two real ones in image and in latent space, and of Perlin noise.

    python benchmarks/mask_interpolation.py                               # a small base, on a CPU
    python benchmarks/mask_interpolation.py --size sd15 --resolution 512 --count 20       # on a GPU
    python benchmarks/mask_interpolation.py --pretrained data/pretrained/plate            # a trained base

Shapes only, nothing is placed. The real masks are drawn: half of them spots, half cracks. With random weights latent
masks mean nothing and most are refused; the time is the same. Each parent's inversion is counted once, as in a run.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from random_models import PROMPT, random_base

from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.diffusion.mask_morph import LatentMorph
from pipeline_tasks.diffusion.weights import load_base
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.masks.components import RealMask
from pipeline_tasks.masks.interpolation import interpolate
from pipeline_tasks.masks.latent import interpolate_latent
from pipeline_tasks.masks.parents import Interpolate
from pipeline_tasks.masks.perlin import place_noise
from pipeline_tasks.masks.shape import Refusal, whole_shape
from pipeline_tasks.params import Params, load_params

Make = Callable[[int, np.random.Generator], object]
"""Makes the mask of an index or raises Refusal."""


def options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["small", "sd15"], default="small")
    parser.add_argument("--pretrained", type=Path, help="instead of random weights")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--parents", type=int, default=6)
    parser.add_argument("--image", type=int, default=512, help="side of the images, px")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def drawn_masks(count: int, side: int) -> Iterator[Mask]:
    """Yield spots and cracks, bool [side, side], in turns."""
    rng = np.random.default_rng(0)
    for index in range(count):
        mask = np.zeros((side, side), np.uint8)
        if index % 2:
            xs = np.linspace(side // 6, side - side // 6, 12)
            ys = side / 2 + np.cumsum(rng.normal(0, side / 40, 12))
            line = np.stack([xs, ys], axis=1).astype(np.int32)
            cv2.polylines(mask, [line], False, 1, max(1, side // 60))
        else:
            axes = rng.integers(side // 16, side // 6, 2)
            cv2.ellipse(mask, (side // 2, side // 2), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, 1, -1)
        yield mask.astype(bool)


def latent_morph(asked: argparse.Namespace, params: Params) -> LatentMorph:
    """Return the latent model that was asked for, on the GPU if there is one."""
    device = pick_device("auto")
    if asked.pretrained:
        base = load_base(asked.pretrained)
    else:
        base = random_base(asked.size, params.pretrain, asked.resolution)
    base = base.to(device)
    return LatentMorph(base, asked.resolution, base.embed([PROMPT]), asked.steps, pick_dtype("auto", device))


def ways(asked: argparse.Namespace, params: Params) -> dict[str, Make]:
    """Return the ways to make a mask, by name."""
    parents = [RealMask(mask) for mask in drawn_masks(asked.parents, asked.image)]
    everywhere = np.ones((asked.image, asked.image), bool)

    def between(interpolate: Interpolate, index: int, rng: np.random.Generator) -> object:
        a = index % len(parents)
        b = (a + 1 + int(rng.integers(len(parents) - 1))) % len(parents)
        return interpolate(parents[a], parents[b], float(rng.uniform(0.05, 0.5)))

    def noise(index: int, rng: np.random.Generator) -> object:
        return place_noise(whole_shape(parents[index % len(parents)].mask), everywhere, params.masks.perlin, rng)

    latent = partial(interpolate_latent, morph=latent_morph(asked, params))
    return {"image": partial(between, interpolate), "latent": partial(between, latent), "perlin": noise}


def measured(make: Make, count: int) -> tuple[float, int]:
    """Return the seconds per attempt and how many attempts were refused."""
    refused, start = 0, time.perf_counter()
    for index in range(count):
        try:
            make(index, np.random.default_rng(index))
        except Refusal:
            refused += 1
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / count, refused


def main() -> None:
    """Print a row per way: attempts per second, against image space, and how many were refused."""
    asked = options()
    torch.set_num_threads(asked.threads)
    rows = {name: measured(make, asked.count) for name, make in ways(asked, load_params()).items()}
    print(f"{'':8}{'masks/s':>10}{'ms each':>10}{'x image':>10}{'refused':>10}")
    for name, (seconds, refused) in rows.items():
        ratio = rows["image"][0] / seconds
        print(f"{name:8}{1 / seconds:10.1f}{1000 * seconds:10.1f}{ratio:10.3f}{refused:7}/{asked.count}")


if __name__ == "__main__":
    main()
