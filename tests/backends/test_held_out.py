from dataclasses import replace

import pytest
from rows import sample

from pipeline_tasks.backends.held_out import held_out


def base(count, defect="pit", **values):
    return [
        replace(sample(), source_path=f"{defect}/{n:02d}.png", defect=defect, group=None, **values)
        for n in range(count)
    ]


def test_a_share_of_each_defect_with_enough_images_is_held_out():
    samples = [*base(20), *base(10, "crack"), *base(9, "stain")]
    out = held_out(samples, 10, 0.2, seed=3)
    assert {defect: sum(path.startswith(defect) for path in out) for defect in ("pit", "crack", "stain")} == {
        "pit": 4,
        "crack": 2,
        "stain": 0,
    }


def test_shots_of_one_part_are_held_out_together_or_not_at_all():
    samples = [replace(one, group=f"pit/{n // 2 * 2:02d}.png") for n, one in enumerate(base(12))]
    for seed in range(20):
        out = held_out(samples, 10, 0.2, seed)
        assert len(out) == 2 and len({one.group for one in samples if one.source_path in out}) == 1


def test_a_part_larger_than_the_share_stays():
    samples = [replace(one, group="pit/00.png") if n < 9 else one for n, one in enumerate(base(12))]
    assert all(not {f"pit/{n:02d}.png" for n in range(9)} & held_out(samples, 10, 0.2, seed) for seed in range(20))


@pytest.mark.parametrize("order", [1, -1])
def test_who_is_held_out_depends_on_the_seed_and_not_on_the_order(order):
    samples = base(20)
    assert held_out(samples[::order], 10, 0.2, 5) == held_out(samples, 10, 0.2, 5)
    assert len({held_out(samples, 10, 0.2, seed) for seed in range(5)}) > 1


def test_a_part_that_shows_two_defects_is_on_one_side_with_both():
    pairs = zip(base(12), base(12, "crack"), strict=True)
    samples = [replace(one, group=f"part/{n}") for n, pair in enumerate(pairs) for one in pair]
    for seed in range(20):
        out = held_out(samples, 10, 0.2, seed)
        assert len(out) == 4 and len({one.group for one in samples if one.source_path in out}) == 2
