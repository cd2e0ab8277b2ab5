import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pipeline_tasks.exports.outlines import pieces


def drawn(*lines):
    return np.array([[character == "#" for character in line] for line in lines])


def outline_of(*lines):
    (piece,) = pieces(drawn(*lines))
    return piece.outline().tolist()


def rasterised(outline, shape):
    """Fill a polygon by the even-odd rule at pixel centres, by counting what lies left of each: no library's rule."""
    mask = np.zeros(shape, int)
    for (x, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        assert x == x1 or y0 == y1, "edges of pixels run along one axis"
        if x == x1:
            mask[min(y0, y1) : max(y0, y1), x:] += 1
    return mask % 2 == 1


def test_one_pixel_has_the_four_corners_of_the_pixel():
    assert outline_of("...", "..#") == [[2, 1], [3, 1], [3, 2], [2, 2]]


def test_a_straight_edge_has_no_corners_on_the_way():
    assert outline_of("#####", "#####") == [[0, 0], [5, 0], [5, 2], [0, 2]]


def test_pixels_that_meet_at_a_corner_are_one_piece_with_one_outline():
    assert outline_of("#.", ".#") == [[0, 0], [1, 0], [1, 1], [2, 1], [2, 2], [1, 2], [1, 1], [0, 1]]
    assert outline_of(".#", "#.") == [[1, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2], [0, 1], [1, 1]]


def test_a_hole_is_reached_by_a_cut_of_no_width():
    outer, cut, hole = [[3, 0], [3, 3], [0, 3]], [1, 0], [[1, 1], [1, 2], [2, 2], [2, 1]]
    assert outline_of("###", "#.#", "###") == [[0, 0], cut, *hole, hole[0], cut, *outer]


def test_pieces_come_from_top_to_bottom_with_their_box_and_area():
    found = pieces(drawn(".....#", "##....", ".#.#.#"))
    assert [(piece.box, piece.area_px) for piece in found] == [
        ((5, 0, 1, 1), 1),
        ((0, 1, 2, 2), 3),
        ((3, 2, 1, 1), 1),
        ((5, 2, 1, 1), 1),
    ]


def test_an_empty_mask_has_no_piece():
    assert pieces(np.zeros((4, 5), bool)) == []


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.booleans()))
def test_the_outlines_enclose_exactly_the_mask(mask):
    alone = [piece.alone(mask.shape) for piece in pieces(mask)]
    assert (np.sum([*alone, np.zeros(mask.shape, bool)], axis=0) == mask).all()
    for piece, expected in zip(pieces(mask), alone, strict=True):
        assert (rasterised(piece.outline(), mask.shape) == expected).all()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_holes_in_holes_and_many_of_them(share):
    noise = np.random.default_rng(7).random((60, 47))
    mask = cv2.GaussianBlur(noise, (0, 0), 1) > np.quantile(cv2.GaussianBlur(noise, (0, 0), 1), share)
    for piece in pieces(mask):
        assert (rasterised(piece.outline(), mask.shape) == piece.alone(mask.shape)).all()
