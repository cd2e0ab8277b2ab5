import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline_tasks.images.boxes import union
from pipeline_tasks.inpainting.windows import appearance_code, context_level, cover, window_weight

coordinates = st.integers(0, 99)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6))
def test_cover_covers_every_hole_pixel_within_its_union(points):
    hole = np.zeros((100, 100), bool)
    for y, x in points:
        hole[y, x] = True
    boxes = cover(hole, 32)
    seen = np.zeros_like(hole)
    for box in boxes:
        ys, xs = (np.clip(np.arange(start, start + box.height), 0, 99) for start in (box.y, box.x))
        seen[np.ix_(ys, xs)] = True
    assert seen[hole].all()
    whole = union(boxes)
    assert all(whole.y <= b.y and b.y + b.height <= whole.y + whole.height for b in boxes)


def test_a_small_hole_takes_one_window_and_a_wide_one_wider_windows():
    hole = np.zeros((200, 200), bool)
    hole[90:110, 100:105] = True
    (box,) = cover(hole, 64)
    assert box.height == 64
    hole[100, 5:195] = True
    assert {b.height for b in cover(hole, 64)} == {128}


def test_weights_are_positive_and_highest_in_the_middle():
    weight = window_weight(16)
    assert weight.min() > 0 and weight.argmax() // 16 in (7, 8)


def test_context_level_ignores_the_hole_and_what_is_far():
    window = np.full((80, 80, 3), 50, np.float32)
    hole = np.zeros((80, 80), bool)
    hole[30:40, 30:40] = True
    window[hole] = 255
    window[60:, 60:] = 0
    np.testing.assert_allclose(context_level(window, hole), 50)


def test_appearance_code_is_mean_and_deviation_relative_to_the_level():
    window = np.zeros((4, 4, 3), np.float32)
    mask = np.zeros((4, 4), bool)
    mask[0, :2] = True
    window[0, 0], window[0, 1] = (10, 20, 30), (30, 20, 50)
    code = appearance_code(window, mask, np.float32([10, 10, 10]), 10.0)
    np.testing.assert_allclose(code, [1, 1, 3, 1, 0, 1])
