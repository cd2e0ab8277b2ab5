import cv2
import numpy as np
import pytest
from drawn_surfaces import flat_surface

from pipeline_tasks.drawing.defect_recipes import Blobs, DefectRecipe, Look, Paths, Shape, Strokes
from pipeline_tasks.drawing.outlines import draw_blobs, draw_paths, draw_strokes
from pipeline_tasks.drawing.shapes import Region, draw_region

CRACK = Paths(
    kind="paths", length=(0.5, 0.5), width=(4.0, 4.0), wander=(0.01, 0.01), taper=(0.0, 0.0), ragged=(0.0, 0.0)
)
SCRATCH = Strokes(kind="strokes", length=(0.5, 0.5), width=(3.0, 3.0), bend=(0.0, 0.0), taper=(0.0, 0.0))
DISC = Blobs(kind="blobs", radius=(9.0, 9.0), rough=(0.0, 0.0), elongation=(1.0, 1.0))


def _region(shape: Shape, seed: int = 0, side_px: int = 128) -> Region:
    return draw_region(
        np.random.default_rng(seed), DefectRecipe(shape=shape, look=Look()), flat_surface(side_px=side_px)
    )


def _area(shape: Shape) -> float:
    """Return the area in px of a shape in the middle of a window, averaged over a few."""
    inside = [area for seed in range(12) if (area := float(_region(shape, seed, 256).cover.sum())) > 1]
    return float(np.median(inside))


def test_a_crack_is_as_long_and_as_wide_as_its_recipe_says() -> None:
    region = _region(CRACK)
    assert 2 <= region.radius <= 3
    assert region.cover.sum() == pytest.approx(64 * 4, rel=0.15)


def test_a_crack_is_thin_at_its_ends() -> None:
    assert _area(CRACK.model_copy(update={"taper": (1.0, 1.0)})) < 0.8 * _area(CRACK)


def test_forks_grow_out_of_the_crack() -> None:
    forked = CRACK.model_copy(update={"forks": (5, 5)})
    assert _area(forked) > 1.3 * _area(CRACK)
    pieces, _ = cv2.connectedComponents((_region(forked).cover >= 0.5).astype(np.uint8))
    assert pieces == 2, "the background and one crack"


def test_a_crack_passes_its_centre() -> None:
    for seed in range(6):
        vertices = np.concatenate(draw_paths(np.random.default_rng(seed), CRACK, (10.0, -7.0), 128))
        assert np.hypot(*(vertices - (10.0, -7.0)).T).min() < 4


def test_a_bundle_has_all_of_its_strokes() -> None:
    bundle = SCRATCH.model_copy(update={"count": (6, 6), "spread": (0.6, 0.6)})
    one, six = (draw_strokes(np.random.default_rng(1), shape, (0.0, 0.0), 128) for shape in (SCRATCH, bundle))
    assert len(six) == 6 * len(one)
    assert _area(bundle) > 3 * _area(SCRATCH)


def test_breaks_interrupt_a_stroke() -> None:
    broken = SCRATCH.model_copy(update={"breaks": (0.6, 0.6), "length": (1.0, 1.0)})
    assert _area(broken) < 0.7 * _area(broken.model_copy(update={"breaks": (0.0, 0.0)}))


def test_a_blob_has_the_area_of_its_radius_whatever_its_elongation() -> None:
    assert _area(DISC) == pytest.approx(np.pi * 81, rel=0.05)
    assert _area(DISC.model_copy(update={"elongation": (3.0, 3.0)})) == pytest.approx(np.pi * 81, rel=0.08)


def test_a_box_fills_more_than_a_disc_and_an_angular_one_less() -> None:
    assert _area(DISC.model_copy(update={"boxy": (10.0, 10.0)})) > 1.15 * _area(DISC)
    assert _area(DISC.model_copy(update={"corners": (5, 5)})) < 0.9 * _area(DISC)


def test_the_others_of_a_cluster_are_smaller() -> None:
    cluster = DISC.model_copy(update={"count": (5, 5), "smaller": (0.5, 0.5)})
    outlines = draw_blobs(np.random.default_rng(4), cluster, (3.0, 4.0), 64)
    spans = [np.ptp(outline[:, 0]) for outline in outlines]
    assert len(outlines) == 5
    assert spans[0] == pytest.approx(18, rel=0.02)
    assert max(spans[1:]) < 18
    assert np.allclose(outlines[0].mean(axis=0), (3.0, 4.0), atol=0.1)


def test_mottling_moves_the_outline_of_a_blob() -> None:
    def edge_length(shape: Shape) -> float:
        mask = (_region(shape, 3).cover >= 0.5).astype(np.uint8)
        return sum(
            cv2.arcLength(edge, True) for edge in cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
        )

    assert edge_length(DISC.model_copy(update={"mottled": (3.0, 3.0)})) > 1.2 * edge_length(DISC)


def test_distances_are_those_from_the_mask() -> None:
    region = _region(DISC)
    mask = region.cover >= 0.5
    assert np.array_equal(region.inside > 0, mask)
    assert np.array_equal(region.outside > 0, ~mask)
    assert region.radius == region.inside.max() == pytest.approx(9, abs=1)
