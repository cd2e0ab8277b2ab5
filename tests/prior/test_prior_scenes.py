from functools import partial

import numpy as np
import pytest
from tiny_prior import draw

from pipeline_tasks.drawing.ranges import chosen
from pipeline_tasks.drawing.scene import draw_scene
from pipeline_tasks.drawing.world import load_world
from pipeline_tasks.prior.params import Blocks
from pipeline_tasks.prior.scenes import StepBlocks, described_scene, scenes_of

OWN = Blocks(window_px=32, batch_size=8, wide_every=3)


def shapes(block):
    return [window.pixels.shape for window in block.windows]


def test_every_so_many_th_step_has_a_quarter_of_the_windows_with_twice_the_side():
    blocks = [StepBlocks(draw, OWN, 0)[step] for step in range(4)]
    narrow, wide = [(32, 32, 3)] * 8, [(64, 64, 3)] * 2
    assert [shapes(block) for block in blocks] == [narrow, narrow, wide, narrow]
    assert all(len(block.grains) == len(block.windows) for block in blocks)


@pytest.mark.parametrize(("steps", "expected"), [(1, 8), (3, 18), (4, 26)])
def test_scenes_are_counted(steps, expected):
    assert scenes_of(OWN, steps) == expected == sum(len(StepBlocks(draw, OWN, 0)[s].windows) for s in range(steps))


def test_a_step_has_the_same_scenes_whenever_it_is_drawn_and_no_two_steps_or_seeds_share_one():
    seen = []

    def noted(seed, side_px):
        seen.append(seed)
        return draw(seed, side_px)

    first, again = (StepBlocks(noted, OWN, 0)[1] for _ in range(2))
    assert seen[:8] == seen[8:]
    pairs = zip(first.windows, again.windows, strict=True)
    assert all(np.array_equal(a.pixels, b.pixels) and np.array_equal(a.look, b.look) for a, b in pairs)
    for blocks, step in ((StepBlocks(noted, OWN, 0), 0), (StepBlocks(noted, OWN, 1), 1)):
        blocks[step]
    assert len(set(seen)) == 3 * 8


def test_windows_hold_the_hole_around_the_defect():
    window = StepBlocks(partial(draw), OWN, 0)[0].windows[0]
    assert window.hole.sum() > 80 and window.hole.shape == (32, 32)
    assert np.isfinite(window.pixels).all()


@pytest.mark.parametrize("defect", ["hairline", "crack", "scratch", "pit", "wide_spall"])
def test_whether_a_defect_is_shown_does_not_depend_on_which_it_is(defect):
    world = load_world()

    def drawn(seed, side_px):
        return draw_scene(world, seed, side_px)

    seeds = [seed for seed in range(4000) if chosen_defect(world, seed) == defect][:80]
    shown = [described_scene(drawn, seed, 32)[0].mask.any() for seed in seeds]
    assert len(seeds) > 50 and 0.5 < np.mean(shown) < 0.95


def chosen_defect(world, seed):
    """What draw_scene chooses second, after the texture."""
    rng = np.random.default_rng(seed)
    chosen(rng, world.texture_weights)
    return chosen(rng, world.defect_weights)
