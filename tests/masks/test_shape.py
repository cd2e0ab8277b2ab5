import numpy as np
import pytest

from pipeline_tasks.masks.shape import Reason, Refusal, Shape, count_pieces, touched_sides, whole_shape


def dotted(*points, size=(20, 30)):
    mask = np.zeros(size, bool)
    for x, y in points:
        mask[y, x] = True
    return mask


def test_sides_are_the_borders_with_a_defect_pixel():
    assert touched_sides(dotted((10, 10)), 1) == frozenset()
    assert touched_sides(dotted((0, 10)), 1) == {(0, 0)}
    assert touched_sides(dotted((29, 10)), 1) == {(0, 1)}
    assert touched_sides(dotted((10, 0), (12, 19)), 1) == {(1, 0), (1, 1)}
    assert touched_sides(dotted((10, 1)), 1) == frozenset()
    assert touched_sides(dotted((10, 1)), 2) == {(1, 0)}


def test_points_are_in_the_frame_and_cuts_lie_along_the_sides():
    shape = Shape(dotted((0, 4), (1, 4), (5, 4)), (0, 3), (40, 40), frozenset({(0, 0)}))
    assert shape.points.tolist() == [[0, 7], [1, 7], [5, 7]]
    assert shape.cuts[0, 0].tolist() == [[0, 7], [1, 7]]


def test_shape_that_left_its_border_is_refused():
    with pytest.raises(Refusal) as refusal:
        _ = Shape(dotted((5, 5)), (0, 0), (30, 20), frozenset({(1, 1)})).cuts
    assert refusal.value.reason == Reason.SHORT


def test_whole_mask_is_a_shape_in_its_own_frame():
    shape = whole_shape(dotted((3, 4), (29, 4)))
    assert (shape.size, shape.corner, shape.sides, shape.area_px) == ((30, 20), (0, 0), {(0, 1)}, 2)


def test_pieces_touching_at_corners_are_one():
    assert count_pieces(dotted((3, 3), (4, 4), (10, 10))) == 2
