from itertools import product

import numpy as np
import pytest
import torch

from pipeline_tasks.controlnet.alignment import Alignment, align, moved


def masks(seed, side=7):
    rng = np.random.default_rng(seed)
    return rng.random((2, side, side)) < 0.3


def brute_force(reference, mask, angles):
    """Try every angle and shift with loops; return the best overlap and the least motion that reaches it."""
    height, width = mask.shape
    best = []
    for angle in angles:
        turned = rotated(reference, angle)
        for dy, dx in product(range(1 - height, height), range(1 - width, width)):
            overlap = sum(
                turned[y, x] and mask[y + dy, x + dx]
                for y, x in product(range(height), range(width))
                if 0 <= y + dy < height and 0 <= x + dx < width
            )
            best.append((-int(overlap), abs(angle), angle, dy * dy + dx * dx, dy, dx))
    overlap, _, angle, _, dy, dx = min(best)
    return -overlap, Alignment(angle, dy, dx)


def rotated(mask, degrees):
    """Rotate about the centre from x to y with complex numbers, nearest cell, nothing from outside."""
    result = np.zeros_like(mask)
    height, width = mask.shape
    center = complex((width - 1) / 2, (height - 1) / 2)
    turn = np.exp(-1j * np.radians(degrees))
    for y, x in product(range(height), range(width)):
        source = (complex(x, y) - center) * turn + center
        row, column = round(source.imag), round(source.real)
        result[y, x] = 0 <= row < height and 0 <= column < width and mask[row, column]
    return result


@pytest.mark.parametrize("seed", range(6))
def test_alignment_equals_brute_force(seed):
    reference, mask = masks(seed)
    overlap, motion = brute_force(reference, mask, [0.0, 90.0, -90.0, 180.0, 45.0, -45.0, 135.0, -135.0])
    assert align(reference, mask, 8) == motion
    assert int((moved(torch.from_numpy(reference), motion).numpy() & mask).sum()) == overlap


def test_a_moved_copy_is_found_again():
    shape = np.zeros((32, 32), bool)
    shape[10:20, 14:16] = shape[18:20, 14:20] = True
    copy = moved(torch.from_numpy(shape), Alignment(90.0, -4, 3)).numpy()
    assert align(shape, copy, 4) == Alignment(90.0, -4, 3)


def test_nothing_wraps_around_the_edge():
    reference, mask = np.zeros((2, 8, 8), bool)
    reference[0, :4], mask[0, 6:], mask[0, :2] = True, True, True
    motion = align(reference, mask, 1)
    assert int((moved(torch.from_numpy(reference), motion).numpy() & mask).sum()) == 2


@pytest.mark.parametrize("empty", [0, 1])
def test_without_any_overlap_nothing_moves(empty):
    pair = masks(0)
    pair[empty] = False
    assert align(*pair, 8) == Alignment(0.0, 0, 0)


def test_latents_move_with_their_mask_and_leave_zeros_behind():
    latents = torch.arange(1.0, 33).reshape(2, 4, 4)
    result = moved(latents, Alignment(0.0, 1, -2))
    assert torch.equal(result[:, 1:, :2], latents[:, :3, 2:])
    assert torch.equal(result[:, 0], torch.zeros(2, 4)) and torch.equal(result[:, :, 2:], torch.zeros(2, 4, 2))


def test_a_quarter_turn_takes_the_x_axis_to_the_y_axis():
    latents = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(moved(latents, Alignment(90.0, 0, 0)), latents.rot90(-1, (1, 2)))


def test_rotation_comes_before_the_shift():
    plane = torch.zeros(1, 5, 5)
    plane[0, 2, 4] = 1
    assert moved(plane, Alignment(90.0, 0, 1))[0, 4, 3] == 1
