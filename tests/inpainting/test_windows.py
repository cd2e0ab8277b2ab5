import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline_tasks.images.boxes import union
from pipeline_tasks.inpainting.windows import cover, window_weight

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
