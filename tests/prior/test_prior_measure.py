import numpy as np
import pytest
import torch
from tiny_prior import CHANNELS, draw

from pipeline_tasks.inpainting.network import make_unet
from pipeline_tasks.prior.measure import Measured, measure_scene, summarise, width_class
from pipeline_tasks.prior.params import Blocks
from pipeline_tasks.prior.scenes import StepBlocks


def scene(number, drawn=draw):
    unets = tuple(make_unet(0, CHANNELS, seed).eval() for seed in (0, 1))
    return measure_scene(unets, drawn, 0, number, 32, 2, torch.device("cpu"), torch.float32)


def test_a_scene_is_measured_by_itself_and_always_the_same(one_thread):
    assert scene(1) == scene(1)
    assert scene(1).prior != scene(2).prior
    assert scene(1).prior != scene(1).random > 0


def test_held_out_scenes_are_none_that_are_learned_from_and_some_are_wide(one_thread):
    learned, held_out = [], []

    def noting(seen):
        return lambda seed, side: (seen.append((seed, side)), draw(seed, side))[1]

    for step in range(5):
        StepBlocks(noting(learned), Blocks(window_px=32, batch_size=4, wide_every=2), 0)[step]
    for number in range(4):
        scene(number, noting(held_out))
    assert not {seed for seed, _ in learned} & {seed for seed, _ in held_out}
    assert [side for _, side in held_out] == [32, 64, 32, 64]


def test_losses_are_told_by_what_the_scenes_show():
    scenes = [
        Measured(1.0, 3.0, "felt", "pit", "0 to 14 px"),
        Measured(2.0, 3.0, "felt", "crack", "0 to 14 px"),
        Measured(6.0, 3.0, "tile", "crack", "14 to 40 px"),
    ]
    assert summarise(scenes) == {
        "scenes": 3,
        "loss": 3.0,
        "untrained": 3.0,
        "texture": {"felt": 1.5, "tile": 6.0},
        "defect": {"crack": 4.0, "pit": 1.0},
        "width": {"0 to 14 px": 1.5, "14 to 40 px": 6.0},
    }


@pytest.mark.parametrize(("width", "expected"), [(6, "0 to 14 px"), (20, "14 to 40 px"), (60, "40 px and more")])
def test_width_is_that_of_the_widest_place(width, expected):
    mask = np.zeros((128, 128), bool)
    mask[5:7, 3:125] = True
    mask[30 : 30 + width, 20 : 20 + width] = True
    assert width_class(mask) == expected
