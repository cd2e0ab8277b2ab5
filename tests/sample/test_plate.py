import numpy as np

from pipeline_tasks.sample.plate import SAMPLES_PER_PX, SIDE_PX, machine_plate


def test_a_plate_is_bright_steel_with_dark_holes_on_a_dark_fixture() -> None:
    plate = machine_plate(np.random.default_rng(0))
    side, middle = SIDE_PX * SAMPLES_PER_PX, SIDE_PX * SAMPLES_PER_PX // 2
    assert plate.light.shape == (side, side, 3)
    assert plate.face.clearance.shape == (side, side)
    grey, face = plate.light.mean(axis=2), plate.face.clearance > 0
    assert 0.35 < face.mean() < 0.55
    assert grey[face].min() > 60
    assert grey[middle, middle] < 30  # in the bore
    assert not face[middle, middle]
    assert grey[:20].max() < 45
    assert not face[:20].any()


def test_plates_vary_but_slightly() -> None:
    first, second = (machine_plate(np.random.default_rng(seed)) for seed in (1, 2))
    assert np.abs(first.light - second.light).mean() > 2
    overlap = ((first.face.clearance > 0) & (second.face.clearance > 0)).sum() / (first.face.clearance > 0).sum()
    assert 0.8 < overlap < 1
