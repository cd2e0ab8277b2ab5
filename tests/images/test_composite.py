import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_tasks.images.composite import composite, dilate, feather


def scattered(seed: int) -> np.ndarray:
    """Return a mask of a few pixels anywhere, sometimes of none."""
    rng = np.random.default_rng(seed)
    return rng.random((24, 30)) < rng.choice([0, 0.002, 0.02, 0.2])


masks = st.integers(0, 2**32 - 1).map(scattered)


def distance_to(mask: np.ndarray) -> np.ndarray:
    """Return each pixel's distance to the mask, infinite where there is none."""
    ys, xs = np.nonzero(mask)
    if not ys.size:
        return np.full(mask.shape, np.inf)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    return np.hypot(y[..., None] - ys, x[..., None] - xs).min(axis=-1)


@given(masks, st.integers(0, 6))
def test_a_dilated_mask_grows_by_its_radius_and_no_more(mask, radius):
    grown, distance = dilate(mask, radius), distance_to(mask)
    assert not grown[distance >= radius + 1].any()
    assert grown[distance <= radius - 1].all()
    assert grown[mask].all()


def test_dilating_by_nothing_copies():
    mask = np.eye(4, dtype=bool)
    grown = dilate(mask, 0)
    grown[:] = False
    assert mask.any()


@given(masks, st.integers(0, 4))
def test_weights_are_one_inside_and_zero_outside_the_dilated_mask(mask, radius):
    weight = feather(mask, radius)
    assert (weight[mask] == 1).all()
    assert (weight[~dilate(mask, radius)] == 0).all()
    assert weight.min(initial=1) >= 0
    assert weight.max(initial=0) <= 1


def test_weights_fall_with_distance():
    mask = np.zeros((9, 30), bool)
    mask[:, :10] = True
    assert feather(mask, 3)[4, 8:15] == pytest.approx([1, 1, 0.75, 0.5, 0.25, 0, 0])


@given(masks, st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_outside_the_dilated_mask_the_normal_image_is_untouched(mask, radius, seed):
    rng = np.random.default_rng(seed)
    normal = rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)
    generated = rng.uniform(-50, 300, (24, 30, 3)).astype(np.float32)
    result = composite(normal, generated, mask, radius)
    outside = ~dilate(mask, radius)
    assert result.dtype == np.uint8
    assert np.array_equal(result[outside], normal[outside])
    assert np.array_equal(result[mask], np.clip(np.rint(generated[mask]), 0, 255).astype(np.uint8))


def test_a_model_gone_wild_outside_its_mask_does_no_harm():
    normal, mask = np.full((9, 9, 3), 40, np.uint8), np.zeros((9, 9), bool)
    mask[4, 4] = True
    generated = np.where(mask[..., None], 200, np.inf).repeat(3, axis=2).astype(np.float32)
    with np.errstate(invalid="ignore"):
        result = composite(normal, generated, mask, 0)
    assert (result[4, 4] == 200).all()
    assert (result[~mask] == 40).all()


def test_the_edge_is_soft():
    normal, mask = np.zeros((21, 21, 3), np.uint8), np.zeros((21, 21), np.uint8)
    mask = cv2.circle(mask, (10, 10), 4, 1, -1).astype(bool)
    row = composite(normal, np.full((21, 21, 3), 240, np.float32), mask, 2)[10, 10:18, 0]
    assert row.tolist() == [240, 240, 240, 240, 240, 160, 80, 0]
