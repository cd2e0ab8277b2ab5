import itertools
from dataclasses import replace
from weakref import WeakSet

import cv2
import numpy as np
import pytest
from rows import sample
from settings import settings

from pipeline_tasks.errors import ConfigError, DataError, LeakageError
from pipeline_tasks.images.codec import decode_mask
from pipeline_tasks.masks.shape import Reason
from pipeline_tasks.schema import GOOD, MaskRow, Sample
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.stages.masks import TRIES, Refused, reserve, run

PARAMS = settings().masks


def normal(name, size):
    grey = np.random.default_rng(len(name)).integers(90, 110, (*size, 3)).astype(np.uint8)
    return sample(GOOD, pixels=grey, source_path=name)


def crack(name, start, end, width, size=(100, 140)):
    mask = cv2.line(np.zeros(size, np.uint8), start, end, 1, width).astype(bool)
    return sample("crack", pixels=np.full((*size, 3), 100, np.uint8), mask=mask, source_path=name)


BASE = [crack("a", (30, 20), (60, 60), 3), crack("b", (80, 30), (100, 90), 5), crack("c", (20, 80), (70, 70), 4)]
NORMALS = [normal("n1", (100, 140)), normal("n-2", (90, 160)), normal("n--3", (120, 120))]


def made(count, base=BASE, normals=NORMALS, seed=7, load_morph=None, source="plate", **changes):
    params = settings(masks={"pairs_per_defect": count, "reserve_fraction": 0.0, **changes}).masks
    return list(run(params, seed, "plate", "crack", source, base, normals, load_morph))


def first_as_it_is(a, b, alpha):
    """A latent model that draws the first mask in its square, one pixel thicker."""
    rows, columns = np.flatnonzero(a.any(axis=1)), np.flatnonzero(a.any(axis=0))
    side = max(np.ptp(rows), np.ptp(columns)) + 9
    y, x = (int(at[0] + at[-1] + 1) // 2 - side // 2 for at in (rows, columns))
    padded = cv2.dilate(np.pad(a.astype(np.uint8), side), np.ones((3, 3)))
    return padded[y + side : y + 2 * side, x + side : x + 2 * side].astype(bool)


def test_rows_say_where_each_mask_comes_from():
    rows = made(40)
    normals = {n.source_path: n for n in NORMALS}
    assert [r.pair_index for r in rows] == list(range(40))
    for row in rows:
        mask, normal = decode_mask(row.mask), normals[row.normal_path]
        assert row.seed == derive_seed(7, "plate", "crack", row.pair_index)
        assert mask.shape == (normal.height, normal.width)
        assert row.normal_sha256 == normal.sha256
        assert row.mask_area_px == mask.sum() > 0
        assert len(row.warp) == 6
        assert 1 <= row.attempts <= PARAMS.attempts
        assert row.placement == PARAMS.placement_spread
        assert row.source == "plate"
        assert {row.parent_a, row.parent_b} <= {"a", "b", "c"}
    area = np.mean([s.mask_area_fraction for s in BASE])
    assert {(r.kind, r.kind_reason) for r in rows} == {
        ("transformed", "share left by masks.interpolated_fraction"),
        ("image", f"mean area {area:.2%} < tau {PARAMS.tau:.2%}"),
    }
    assert {r.normal_path for r in rows} == set(normals)


def test_transformed_mask_is_its_parent_under_the_warp():
    parents = {s.source_path: decode_mask(s.mask) for s in BASE}
    for row in made(20, interpolated_fraction=0.0):
        mask = decode_mask(row.mask)
        warp = np.reshape(row.warp, (2, 3))
        grey = cv2.warpAffine(
            parents[row.parent_a].astype(np.uint8) * 255, warp, mask.shape[::-1], flags=cv2.INTER_LINEAR
        )
        assert ((grey > 127) == mask).all()
        assert (row.kind, row.parent_b, row.alpha) == ("transformed", row.parent_a, 0.0)


def test_interpolated_mask_lies_where_the_warp_brings_its_first_parent():
    parents = {s.source_path: decode_mask(s.mask) for s in BASE}
    for row in made(20, interpolated_fraction=1.0):
        x, y = np.mean(np.nonzero(parents[row.parent_a])[::-1], axis=1)
        landed = np.reshape(row.warp, (2, 3)) @ (x, y, 1)
        centre = np.mean(np.nonzero(decode_mask(row.mask))[::-1], axis=1)
        assert np.abs(landed - centre).max() < 5
        assert row.parent_a != row.parent_b
        assert 0 < row.alpha <= 0.5


def test_a_pair_does_not_depend_on_how_many_are_made():
    assert made(5) == made(30)[:5]


def test_a_pair_depends_on_the_seed():
    assert all(p.mask != q.mask for p, q in zip(made(5), made(5, seed=8), strict=True))


def test_pairs_are_made_one_at_a_time():
    rows = run(PARAMS.model_copy(update={"pairs_per_defect": 10**9}), 0, "plate", "crack", "plate", BASE, NORMALS)
    assert len(list(itertools.islice(rows, 3))) == 3


class Watched(Sample):
    __slots__ = ("__weakref__",)


def test_images_are_held_one_at_a_time():
    alive, most = WeakSet(), []

    def stream(samples):
        for i in range(12):
            one = samples[i % len(samples)]
            watched = Watched(**{f: getattr(one, f) for f in Sample.__slots__} | {"source_path": f"{i}"})
            alive.add(watched)
            most.append(len(alive))
            yield watched

    rows = made(3, base=stream(BASE), normals=stream(NORMALS))
    assert [type(row) for row in rows] == [MaskRow] * 3
    assert max(most) <= 3


def test_one_real_mask_is_only_transformed():
    rows = made(10, base=BASE[:1], interpolated_fraction=1.0)
    assert {(r.kind, r.kind_reason) for r in rows} == {("transformed", "one real mask only")}


def test_latent_masks_are_what_the_model_draws():
    parents = {s.source_path: decode_mask(s.mask) for s in BASE}
    still = {"rotation_degrees": 0.0, "scale_min": 1.0, "scale_max": 1.0, "flip": False}
    rows = made(20, kind="latent", interpolated_fraction=1.0, load_morph=lambda: first_as_it_is, **still)
    assert {(r.kind, r.kind_reason) for r in rows} == {("latent", "chosen in params.yaml")}
    for row in rows:
        thicker = cv2.dilate(parents[row.parent_a].astype(np.uint8), np.ones((3, 3)))
        assert row.mask_area_px == pytest.approx(thicker.sum(), rel=0.1)
        assert row.parent_a != row.parent_b


def test_the_latent_model_is_loaded_only_if_masks_are_made_by_it():
    def never():
        raise AssertionError("loaded")

    assert {r.kind for r in made(10, interpolated_fraction=1.0, load_morph=never)} == {"image"}
    assert {r.kind for r in made(10, kind="perlin", load_morph=never)} == {"perlin"}
    assert {r.kind for r in made(10, base=BASE[:1], kind="latent", load_morph=never)} == {"transformed"}


def test_large_wide_defects_are_hybrid_s_latent_ones():
    wide = [crack("w", (30, 40), (60, 60), 25), crack("v", (50, 40), (80, 50), 21)]
    with_model = made(10, base=wide, interpolated_fraction=1.0, load_morph=lambda: first_as_it_is)
    without = made(10, base=wide, interpolated_fraction=1.0)
    assert {r.kind for r in with_model if isinstance(r, MaskRow)} == {"latent"}
    assert {(r.kind, r.kind_reason) for r in without} == {("image", "no trained latent model")}


def test_hybrid_takes_no_latent_model_that_does_not_keep_the_real_masks():
    wide = [crack("w", (30, 40), (60, 60), 25), crack("v", (50, 40), (80, 50), 21)]
    rows = made(10, base=wide, interpolated_fraction=1.0, load_morph=lambda: lambda a, b, alpha: np.ones((2, 2), bool))
    assert {r.kind for r in rows} == {"image"}
    assert all("the latent model redraws real masks with an IoU of 0.0" in r.kind_reason for r in rows)


def test_latent_masks_without_a_latent_model_are_an_error():
    with pytest.raises(ConfigError, match=r"masks\.kind is 'latent'"):
        made(1, kind="latent")


def test_a_latent_model_that_draws_nothing_costs_only_its_own_pairs():
    rows = made(30, kind="latent", attempts=4, load_morph=lambda: lambda a, b, alpha: np.zeros((30, 30), bool))
    assert {r.kind for r in rows if isinstance(r, MaskRow)} == {"transformed"}
    assert {r.reason for r in rows if isinstance(r, Refused)} == {Reason.EMPTY}
    assert sum(isinstance(r, MaskRow) for r in rows) == 30


def test_perlin_masks_lie_anywhere_on_the_object_and_borrow_a_parent():
    rows = made(20, kind="perlin", interpolated_fraction=0.0)
    parents = {s.source_path: decode_mask(s.mask) for s in BASE}
    assert {r.kind for r in rows} == {"perlin"}
    assert {r.placement for r in rows} == {1.0}
    for row in rows:
        assert (row.parent_b, row.alpha) == (row.parent_a, 0.0)
        x, y = np.mean(np.nonzero(parents[row.parent_a])[::-1], axis=1)
        centre = np.mean(np.nonzero(decode_mask(row.mask))[::-1], axis=1)
        assert np.reshape(row.warp, (2, 3)) @ (x, y, 1) == pytest.approx(centre)
    assert made(5, kind="perlin") == made(20, kind="perlin")[:5]


def test_others_are_made_in_the_place_of_pairs_that_are_refused():
    too_long = crack("long", (5, 150), (290, 160), 5, size=(300, 300))
    rows = made(30, base=[BASE[0], too_long], interpolated_fraction=0.0, attempts=5)
    refused = [r for r in rows if isinstance(r, Refused)]
    kept = [r for r in rows if isinstance(r, MaskRow)]
    assert {r.reason for r in refused} == {Reason.TOO_LARGE}
    assert {r.parent_a for r in kept} == {"a"}
    assert len(kept) == 30 and [r.pair_index for r in rows] == list(range(30 + len(refused)))


def test_there_is_a_reserve_for_pairs_that_fail():
    assert made(10, reserve_fraction=0.25) == made(13)
    assert reserve(PARAMS.model_copy(update={"pairs_per_defect": 10, "reserve_fraction": 0.25})) == 3
    assert reserve(PARAMS.model_copy(update={"reserve_fraction": 0.0})) == 0


def test_a_defect_that_fits_nowhere_is_given_up_after_a_bounded_number_of_tries():
    too_long = crack("long", (5, 150), (290, 160), 5, size=(300, 300))
    rows = made(8, base=[too_long], attempts=2, reserve_fraction=0.5)
    assert [type(row) for row in rows] == [Refused] * TRIES * 12


def test_masks_seen_on_another_product_go_anywhere_and_those_too_large_are_scaled_down():
    long = crack("long", (5, 150), (290, 160), 5, size=(300, 300))
    rows = made(40, base=[replace(long, product="road")], source="road", placement_spread=0.0)
    assert {(r.product, r.source, r.placement) for r in rows} == {("plate", "road", 1.0)}
    areas = [np.abs(np.linalg.det(np.reshape(r.warp, (2, 3))[:, :2])) for r in rows]
    assert max(areas) < 0.5
    assert {r.attempts for r in rows} == {1}
    heights = [np.mean(np.nonzero(decode_mask(r.mask))[0]) / decode_mask(r.mask).shape[0] for r in rows]
    assert min(heights) < 0.2 and max(heights) > 0.8, "although it was seen in the middle"


def test_no_real_mask_makes_no_pair():
    assert made(5, base=[]) == []
    assert made(5, base=[replace(BASE[0], mask=None, mask_area_px=0)]) == []


def test_no_normal_image_is_an_error():
    with pytest.raises(DataError, match=r"plate.*no normal image"):
        made(5, normals=[])


@pytest.mark.parametrize("place", ["base", "normals"])
def test_test_sample_is_an_error(place):
    tables = {"base": BASE, "normals": NORMALS}
    tables[place] = [*tables[place], replace(tables[place][0], split="test", source_path="leak")]
    with pytest.raises(LeakageError, match=r"masks: 'plate/leak' is a test sample"):
        made(5, **tables)
