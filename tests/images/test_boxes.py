import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline_tasks.images.boxes import Box, bounding_box, box_around, crop, fit, inside

coordinates = st.integers(0, 99)
starts, sides = st.integers(-30, 60), st.integers(1, 50)


@given(coordinates, coordinates, st.integers(40, 200), st.integers(40, 200))
def test_box_around_holds_its_point_and_stays_in_images_that_are_large_enough(y, x, height, width):
    y, x = min(y, height - 1), min(x, width - 1)
    box = box_around((y, x), 32, (height, width))
    assert box.y <= y < box.y + 32 and box.x <= x < box.x + 32
    assert box.y >= 0 and box.x >= 0 and box.y + 32 <= height and box.x + 32 <= width


def test_what_does_not_fit_is_centred():
    assert [fit(start, 10, 4) for start in (-99, 0, 99)] == [-3, -3, -3]
    assert box_around((1, 50), 8, (4, 100)) == Box(-2, 46, 8, 8)


def test_crop_repeats_the_edge_beyond_the_image():
    image = np.arange(6).reshape(2, 3)
    assert crop(image, Box(-1, -1, 4, 5)).tolist() == [
        [0, 0, 1, 2, 2],
        [0, 0, 1, 2, 2],
        [3, 3, 4, 5, 5],
        [3, 3, 4, 5, 5],
    ]


@given(starts, starts, sides, sides)
def test_inside_is_the_mask_where_there_is_an_image_and_nothing_beyond(y, x, height, width):
    mask = np.random.default_rng(0).random((20, 30)) < 0.5
    around = np.pad(mask, 110)
    expected = around[y + 110 : y + 110 + height, x + 110 : x + 110 + width]
    assert np.array_equal(inside(mask, Box(y, x, height, width)), expected)


def test_the_bounding_box_touches_the_outermost_pixels_and_keeps_its_margin():
    mask = np.zeros((20, 30), bool)
    mask[4, 7] = mask[9, 3] = True
    assert bounding_box(mask, 0) == Box(4, 3, 6, 5)
    assert bounding_box(mask, 2) == Box(2, 1, 10, 9)
    assert bounding_box(mask, 6) == Box(-2, -3, 18, 17), "it may exceed the image"


@given(st.sets(st.tuples(st.integers(0, 19), st.integers(0, 29)), min_size=1, max_size=5))
def test_the_bounding_box_holds_every_pixel(points):
    mask = np.zeros((20, 30), bool)
    mask[tuple(zip(*points, strict=True))] = True
    tight = inside(mask, bounding_box(mask, 0))
    assert tight.sum() == mask.sum()
    assert tight[0].any() and tight[-1].any() and tight[:, 0].any() and tight[:, -1].any()
