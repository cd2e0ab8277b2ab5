import cv2
import numpy as np
import pytest

from pipeline_tasks.masks.components import RealMask
from pipeline_tasks.masks.latent import SMALLEST_PIECE_PX, interpolate_latent, likeness
from pipeline_tasks.masks.shape import Reason, Refusal

SIZE = (100, 140)


def disc(x, y, radius):
    return RealMask(cv2.circle(np.zeros(SIZE, np.uint8), (x, y), radius, 1, -1).astype(bool))


def bar(x0, x1, y, width):
    return RealMask(cv2.line(np.zeros(SIZE, np.uint8), (x0, y), (x1, y), 1, width).astype(bool))


def drawing(mask):
    """A model that draws `mask` whatever it is asked for."""
    return lambda a, b, alpha: mask


def square(side, *parts):
    canvas = np.zeros((side, side), bool)
    for part in parts:
        canvas[part] = True
    return canvas


def on_canvas(shape):
    height, width = shape.mask.shape
    canvas = np.zeros(SIZE, bool)
    canvas[shape.corner[1] : shape.corner[1] + height, shape.corner[0] : shape.corner[0] + width] = shape.mask
    return canvas


def test_ends_are_exactly_the_parents_and_nothing_is_drawn():
    def never(a, b, alpha):
        raise AssertionError

    a, b = disc(40, 40, 9), disc(80, 60, 12)
    for alpha, parent in ((0, a), (1, b)):
        assert (interpolate_latent(a, b, alpha, never).mask == parent.mask).all()


def test_the_model_gets_both_masks_and_alpha():
    a, b, asked = disc(40, 40, 9), disc(80, 60, 12), []

    def record(*arguments):
        asked.append(arguments)
        return square(26, np.s_[3:23, 3:23])

    interpolate_latent(a, b, 0.3, record)
    assert len(asked) == 1
    assert (asked[0][0] is a.mask, asked[0][1] is b.mask, asked[0][2]) == (True, True, 0.3)


def test_what_is_drawn_lies_where_the_first_parent_was():
    shape = interpolate_latent(disc(40, 50, 9), disc(80, 60, 12), 0.5, drawing(square(30, np.s_[5:25, 5:25])))
    ys, xs = np.nonzero(on_canvas(shape))
    assert (xs.mean(), ys.mean()) == pytest.approx((40, 50), abs=1)
    assert shape.area_px == 400
    assert shape.size == SIZE[::-1]
    assert shape.sides == frozenset()


@pytest.mark.parametrize("end", [0, 1])
def test_what_ran_out_of_the_image_still_does(end):
    a = bar(100, 139, 50, 8) if end else bar(0, 40, 50, 8)
    drawn = square(60, np.s_[25:34, 15:48])
    shape = interpolate_latent(a, bar(30, 70, 60, 9), 0.5, drawing(drawn))
    assert shape.sides == frozenset({(0, end)})
    assert len(shape.cuts[0, end]) > 5


def test_what_spans_the_image_is_stretched_to_span_it_still():
    a = bar(0, 139, 50, 8)
    shape = interpolate_latent(a, bar(10, 130, 60, 9), 0.4, drawing(square(170, np.s_[80:90, 20:145])))
    assert on_canvas(shape)[:, [0, -1]].any(axis=0).all()


def test_what_is_too_short_to_span_the_image_is_refused():
    with pytest.raises(Refusal) as refused:
        interpolate_latent(bar(0, 139, 50, 8), bar(10, 130, 60, 9), 0.4, drawing(square(170, np.s_[78:92, 50:120])))
    assert refused.value.reason == Reason.SHORT


def test_crumbs_are_dropped():
    clean = square(30, np.s_[5:25, 5:25])
    crumbs = clean | square(30, np.s_[0:1, 0 : SMALLEST_PIECE_PX - 1], np.s_[28:30, 28:30])
    shape = interpolate_latent(disc(40, 50, 9), disc(80, 60, 12), 0.5, drawing(crumbs))
    assert shape.area_px == 400


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        (square(30), Reason.EMPTY),
        (square(30, np.s_[0:2, 0:2]), Reason.EMPTY),
        (square(90, np.s_[:, :]), Reason.AREA),
        (square(30, np.s_[10:15, 10:15]), Reason.AREA),
        (square(40, np.s_[2:12, 2:20], np.s_[25:35, 2:20]), Reason.FRAGMENTED),
    ],
)
def test_bad_drawings_are_refused(drawn, reason):
    with pytest.raises(Refusal) as refused:
        interpolate_latent(disc(60, 50, 9), disc(80, 60, 12), 0.5, drawing(drawn))
    assert refused.value.reason == reason


def redrawing(change):
    """A model that draws the first mask in its square, changed."""

    def morph(a, b, alpha):
        rows, columns = np.flatnonzero(a.any(axis=1)), np.flatnonzero(a.any(axis=0))
        side = int(1.3 * max(np.ptp(rows), np.ptp(columns))) + 5
        x, y = ((int(at[0] + at[-1]) + 1 - side) // 2 for at in (columns, rows))
        square = np.pad(a, side)[y + side : y + 2 * side, x + side : x + 2 * side]
        return cv2.morphologyEx(square.astype(np.uint8), change, np.ones((3, 3), np.uint8)).astype(bool)

    return morph


def test_a_model_that_keeps_masks_has_likeness_one():
    masks = [disc(40, 50, 9), disc(60, 50, 12), bar(10, 90, 20, 5), bar(0, 139, 5, 7)]
    assert likeness(masks, redrawing(cv2.MORPH_CLOSE)) == pytest.approx(1, abs=0.02)


def test_likeness_is_the_mean_iou():
    masks = [disc(40, 50, 9), disc(60, 50, 12)]
    thick = [cv2.dilate(real.mask.astype(np.uint8), np.ones((3, 3))).sum() for real in masks]
    expected = np.mean([real.mask.sum() / area for real, area in zip(masks, thick, strict=True)])
    assert likeness(masks, redrawing(cv2.MORPH_DILATE)) == pytest.approx(expected)


def test_a_model_that_draws_nothing_or_elsewhere_has_likeness_zero():
    masks = [disc(40, 50, 9)]
    assert likeness(masks, drawing(square(30))) == 0
    assert likeness(masks, drawing(square(60, np.s_[0:5, 0:5]))) == 0


def test_as_many_pieces_as_either_parent_has_are_fine():
    two = RealMask(disc(40, 30, 8).mask | disc(90, 70, 8).mask)
    drawn = drawing(square(40, np.s_[2:12, 2:20], np.s_[25:35, 2:20]))
    assert interpolate_latent(disc(60, 50, 9), two, 0.5, drawn).pieces == 2
