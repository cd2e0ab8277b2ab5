import cv2
import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from pipeline_tasks.masks.components import GAP_FRACTION, RealMask


def canvas(*draw):
    array = np.zeros((120, 200), np.uint8)
    for shape in draw:
        shape(array)
    return array.astype(bool)


def bar(x0, x1, y=60, width=5):
    return lambda array: cv2.line(array, (x0, y), (x1, y), 1, width)


def disc(x, y, radius):
    return lambda array: cv2.circle(array, (x, y), radius, 1, -1)


def test_crop_and_corner_give_the_mask_back():
    mask = canvas(bar(0, 60), disc(150, 30, 12))
    again = np.zeros_like(mask)
    for component in RealMask(mask).components:
        ys, xs = np.nonzero(component.crop)
        again[ys + int(component.corner.imag), xs + int(component.corner.real)] = True
    assert (again == mask).all()


def test_outlines_filled_give_the_mask_back():
    mask = canvas(disc(100, 60, 40), lambda array: cv2.circle(array, (90, 60), 15, 0, -1))
    (component,) = RealMask(mask).components
    assert len(component.outlines) == 2
    corners = [np.stack([o.real, o.imag], axis=1).astype(np.int32) for o in component.outlines]
    assert (cv2.fillPoly(np.zeros(mask.shape, np.uint8), corners, 1).astype(bool) == mask).all()


def test_largest_component_comes_first():
    areas = [c.area_px for c in RealMask(canvas(disc(20, 20, 4), disc(100, 60, 20), disc(180, 100, 9))).components]
    assert areas == sorted(areas, reverse=True)
    assert len(areas) == 3


def test_interrupted_crack_is_one_component_with_one_path():
    (component,) = RealMask(canvas(bar(10, 80), bar(92, 190))).components
    assert component.skeleton.line.real.max() - component.skeleton.line.real.min() > 170
    assert not component.crop[:, 86 - int(component.corner.real)].any()


def test_distant_pieces_stay_apart():
    assert len(RealMask(canvas(bar(10, 50), bar(120, 160))).components) == 2


def test_bars_are_ribbons_and_discs_are_spots():
    assert RealMask(canvas(bar(10, 60))).components[0].is_ribbon
    assert not RealMask(canvas(disc(60, 60, 10))).components[0].is_ribbon


def test_centre_is_the_centroid():
    assert abs(RealMask(canvas(disc(70, 40, 9))).centre - (70 + 40j)) < 1e-9


def joined(mask):
    """Return how many defects the pieces of `mask` make, by the distances between all of their pixels."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    points = [np.argwhere(labels == label) for label in range(1, count)]
    extents = boxes[1:, 2:4].max(axis=1)
    gaps = np.array([[cdist(a, b).min() for b in points] for a in points])
    return connected_components(gaps <= GAP_FRACTION * np.maximum.outer(extents, extents))[0]


@pytest.mark.parametrize("seed", range(6))
def test_pieces_are_one_defect_where_their_gap_is_small(seed):
    rng = np.random.default_rng(seed)
    lines = rng.integers(0, (200, 120, 24, 24), (25, 4)) - (0, 0, 12, 12)
    mask = canvas(*(lambda a, v=v: cv2.line(a, v[:2].tolist(), (v[:2] + v[2:]).tolist(), 1, 1) for v in lines))
    assert len(RealMask(mask).components) == joined(mask)


def test_components_do_not_depend_on_the_image_around_them():
    small, large = canvas(bar(10, 80), bar(92, 190)), np.zeros((2000, 3000), bool)
    large[700:820, 1100:1300] = small
    (one,), (other,) = RealMask(small).components, RealMask(large).components
    assert other.corner - one.corner == 1100 + 700j
    assert (other.bridged == one.bridged).all() and (other.crop == one.crop).all()
