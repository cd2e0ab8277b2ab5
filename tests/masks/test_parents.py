import cv2
import numpy as np
import pytest

from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.masks.interpolation import interpolate
from pipeline_tasks.masks.parents import ALPHA_MAX, one_parent, read_parents, two_parents
from pipeline_tasks.masks.shape import whole_shape
from pipeline_tasks.schema import Sample


def sample(name, mask):
    height, width = (60, 80) if mask is None else mask.shape
    area = 0 if mask is None else int(mask.sum())
    return Sample(
        product="plate",
        defect="pit",
        split="base",
        source_path=name,
        sha256=name,
        source_bytes=1,
        width=width,
        height=height,
        mask_area_px=area,
        mask_area_fraction=area / (width * height),
        mask_x=None if mask is None else 0.5,
        mask_y=None if mask is None else 0.5,
        derived_from=None,
        group=None,
        image=encode_image(np.full((height, width, 3), 120, np.uint8)),
        mask=None if mask is None else encode_mask(mask),
    )


def disc(x, radius):
    return cv2.circle(np.zeros((60, 80), np.uint8), (x, 30), radius, 1, -1).astype(bool)


@pytest.fixture
def parents():
    return read_parents([sample(f"{i}.png", disc(20 + 10 * i, 4 + i)) for i in range(4)])


def test_samples_without_a_mask_are_left_out():
    kept = read_parents([sample("a", None), sample("b", np.zeros((60, 80), bool)), sample("c", disc(30, 5))])
    assert [p.path for p in kept] == ["c"]


def test_one_parent_is_taken_as_it_is(parents):
    descent = one_parent(parents, np.random.default_rng(0))
    assert (descent.alpha, descent.a) == (0.0, descent.b)
    assert (descent.shape.mask == descent.a.real.mask).all()


def test_every_parent_gets_its_turn(parents):
    rng = np.random.default_rng(0)
    assert {one_parent(parents, rng).a.path for _ in range(60)} == {p.path for p in parents}


def test_two_parents_differ_and_the_first_is_the_nearer(parents):
    rng = np.random.default_rng(0)
    for _ in range(40):
        descent = two_parents(parents, interpolate, rng)
        assert descent.a is not descent.b
        assert 0 < descent.alpha <= ALPHA_MAX


def test_the_shape_is_what_the_way_of_interpolating_gives(parents):
    asked = []

    def last(*arguments):
        asked.append(arguments)
        return whole_shape(parents[3].real.mask)

    descent = two_parents(parents, last, np.random.default_rng(0))
    assert asked == [(descent.a.real, descent.b.real, descent.alpha)]
    assert (descent.shape.mask == parents[3].real.mask).all()
