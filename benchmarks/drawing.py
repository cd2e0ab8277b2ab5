"""How many scenes of the drawn world one core draws a second, against the goal, and what each recipe costs.

    OMP_NUM_THREADS=1 python benchmarks/drawing.py --side 64

Times are CPU time, so that other processes do not count. A recipe's factor is its mean time over that of all scenes.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable
from statistics import mean

import cv2

from pipeline_tasks.drawing.scene import draw_scene
from pipeline_tasks.drawing.world import load_world

GOAL = 500
"""Scenes a second at 64 px on one core."""


def main() -> None:
    """Print scenes a second, their ratio to the goal, and the factors of textures and defects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=64, help="px")
    parser.add_argument("--scenes", type=int, default=3000)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    world = load_world()
    draw_scene(world, 0, options.side)
    textures: dict[str, list[float]] = defaultdict(list)
    defects: dict[str, list[float]] = defaultdict(list)
    for seed in range(options.scenes):
        begun = time.process_time()
        scene = draw_scene(world, seed, options.side)
        spent = time.process_time() - begun
        textures[scene.texture].append(spent)
        defects[scene.defect].append(spent)
    whole = mean(spent for times in textures.values() for spent in times)
    print(f"{1 / whole:.0f} scenes/s of {options.side} px, {1 / whole / GOAL:.2f} of the goal of {GOAL} at 64 px")
    for times in (textures, defects):
        print_factors(times.items(), whole)


def print_factors(times: Iterable[tuple[str, list[float]]], whole: float) -> None:
    """Print each recipe's factor, the costliest first."""
    factors = {name: mean(values) / whole for name, values in times}
    print("  ".join(f"{name} {factors[name]:.2f}" for name in sorted(factors, key=lambda name: -factors[name])))


if __name__ == "__main__":
    main()
