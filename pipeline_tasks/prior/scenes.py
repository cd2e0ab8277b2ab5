"""Drawn scenes as the prior is given them: every step of the training has its own, from its own seed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from torch.utils.data import Dataset

from pipeline_tasks.drawing.scene import Scene
from pipeline_tasks.inpainting.source import Grain
from pipeline_tasks.inpainting.training_windows import Window
from pipeline_tasks.prior.params import Blocks
from pipeline_tasks.prior.windows import prior_window
from pipeline_tasks.seeds import derive_seed

Draw = Callable[[int, int], Scene]
"""(seed, side in px) -> scene."""
WIDER, FEWER = 2, 4
"""A wide scene has so many times the side; there are so many times fewer of them, and so as many pixels."""


class Block(NamedTuple):
    """The windows of one step, all of one side, and the grain of the surface of each."""

    windows: Sequence[Window]
    grains: Sequence[Grain]


class StepBlocks(Dataset[Block]):
    """The block of every step of a training, by the step's number; who draws it, and when, changes nothing."""

    def __init__(self, draw: Draw, blocks: Blocks, seed: int) -> None:
        self._draw, self._blocks, self._seed = draw, blocks, seed

    def __getitem__(self, step: int) -> Block:
        count, side = _shape(self._blocks, step)
        seeds = [derive_seed(self._seed, "prior", step, number) for number in range(count)]
        pairs = [described_scene(self._draw, seed, side) for seed in seeds]
        return Block([window for window, _ in pairs], [grain for _, grain in pairs])


def described_scene(draw: Draw, seed: int, side_px: int) -> tuple[Window, Grain]:
    """Return the scene of `seed` as a window; what is told of it depends on nothing that the drawing depends on."""
    return prior_window(draw(seed, side_px), np.random.default_rng(derive_seed(seed, "window")))


def scenes_of(blocks: Blocks, steps: int) -> int:
    """Return how many scenes are drawn for so many steps."""
    return sum(_shape(blocks, step)[0] for step in range(steps))


def _shape(blocks: Blocks, step: int) -> tuple[int, int]:
    """Return how many windows a step has, and their side in px."""
    if is_wide(step, blocks.wide_every):
        return blocks.batch_size // FEWER, blocks.window_px * WIDER
    return blocks.batch_size, blocks.window_px


def is_wide(number: int, every: int) -> bool:
    """Tell whether the step or scene of this number, from 0, is a wide one: every so many-th."""
    return (number + 1) % every == 0


def one_thread(_: int) -> None:
    """Keep OpenCV in a process that draws to one thread: its siblings and the training need the others."""
    cv2.setNumThreads(1)
