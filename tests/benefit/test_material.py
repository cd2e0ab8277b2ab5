from dataclasses import replace

import numpy as np
import pytest
from benches import CLASSIC, FLIP, MADE, PASTE, piece
from rows import pair, sample

from pipeline_tasks.benefit.arms import Arm
from pipeline_tasks.benefit.material import Material, digest_of, pair_pieces, real_piece, synthetic_piece, with_parents
from pipeline_tasks.detectors.windows import Mix
from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.schema import GOOD

COUNTERPART = piece(GOOD, "pit/0#defect_free", derived_from="pit/0")
REAL = [piece("pit", "pit/0"), piece("pit", "pit/1"), piece("scratch", "s/0"), piece(GOOD, "good/0"), COUNTERPART]
MADE_PIECES = [
    piece("pit", "0", "pit/0", "good/0"),
    piece("pit", "1", "pit/1", "good/0"),
    piece("scratch", "2", "s/0", "good/1"),
    piece("pit", "3", "pit/1", "pit/0#defect_free", "pit/0"),
    piece("pit", "4", "elsewhere"),
]
PASTED = [piece("pit", "0", "pit/0", "good/0")]
MATERIAL = Material(REAL, {"inpainting": MADE_PIECES, "paste": PASTED})


def kept(paths):
    left = MATERIAL.without(paths)
    return [one.path for one in left.real], [one.path for one in left.made["inpainting"]]


@pytest.mark.parametrize(
    ("paths", "real", "made"),
    [
        ({"pit/0"}, ["pit/1", "s/0", "good/0"], ["1", "2", "4"]),
        ({"pit/1"}, ["pit/0", "s/0", "good/0", "pit/0#defect_free"], ["0", "2", "4"]),
        ({"good/0"}, ["pit/0", "pit/1", "s/0", "pit/0#defect_free"], ["2", "3", "4"]),
        ({"good/1"}, [one.path for one in REAL], ["0", "1", "3", "4"]),
        (set(), [one.path for one in REAL], ["0", "1", "2", "3", "4"]),
    ],
)
def test_what_comes_from_a_left_out_image_is_left_out_with_it(paths, real, made):
    assert kept(frozenset(paths)) == (real, made)
    assert kept(list(paths)) == (real, made)


def test_defects_are_those_with_real_images():
    crack = piece("crack", "9", "elsewhere")
    assert Material(REAL, {"inpainting": [crack]}).defects == ["pit", "scratch"]


def test_a_recipe_draws_on_its_arms_sources_by_defect():
    recipe = {"pit": PASTE, "scratch": MADE}
    assert MATERIAL.ingredients(recipe) == [*PASTED, MADE_PIECES[2]]
    assert MATERIAL.ingredients({"pit": FLIP, "scratch": CLASSIC}) == []
    scenes = [one.scene for one in PASTED]
    assert MATERIAL.mixes({"pit": PASTE, "scratch": CLASSIC}) == {
        "pit": Mix(scenes, 0.5, "flip"),
        "scratch": Mix([], 0.0, "classic"),
    }


def test_an_arm_without_pieces_of_a_defect_has_nothing_to_mix_in():
    assert MATERIAL.mixes({"scratch": Arm("paste", 75, "none")}) == {"scratch": Mix([], 0.75, "none")}
    assert [MATERIAL.has(arm, "scratch") for arm in (PASTE, MADE, FLIP)] == [False, True, True]


def test_scenes_are_by_defect_with_normal_ones_among_them():
    assert {name: len(scenes) for name, scenes in MATERIAL.scenes().items()} == {GOOD: 2, "pit": 2, "scratch": 1}


def test_a_base_sample_is_a_piece_of_at_most_so_many_pixels():
    pixels, mask = np.full((40, 100, 3), 90, np.uint8), np.zeros((40, 100), bool)
    mask[8:12, 20:30] = True
    shown = real_piece(sample("pit", 3, pixels=pixels, mask=mask), 50)
    assert shown.scene.pixels.shape == (20, 50, 3)
    assert shown.scene.mask.sum() == 10
    assert (shown.defect, shown.path, shown.origins) == ("pit", "base/pit/003.png", {"base/pit/003.png"})
    normal = real_piece(sample(GOOD, derived_from="base/pit/003.png"), 50)
    assert normal.origins == {"base/good/000.png", "base/pit/003.png"}
    assert not normal.scene.mask.any()


def shown_pair(**values):
    """A pair of 60 x 80 px with a square of 4 px."""
    pixels, mask = np.full((60, 80, 3), 50, np.uint8), np.zeros((60, 80), bool)
    pixels[:30] = 150
    mask[10:14, 70:74] = True
    return pair(image=encode_image(pixels), mask=encode_mask(mask), **values)


def test_a_pair_is_held_as_what_surrounds_its_defect_but_normalised_as_a_whole():
    (found,) = pair_pieces([shown_pair()], 640, 8)
    assert found.scene.mask.shape == (20, 18)  # cut at the right border
    assert found.scene.mask.sum() == 16
    assert (found.scene.level, found.scene.spread) == (100, 50)
    (whole,) = pair_pieces([shown_pair()], 640, 1000)
    assert whole.scene.mask.shape == (60, 80)


@pytest.mark.parametrize(
    ("values", "origins"),
    [
        ({"parent_a": "a", "parent_b": "b", "normal_path": "n"}, {"a", "b", "n"}),
        ({"parent_a": "a", "parent_b": "a", "normal_path": "n", "source": "tile"}, {"n"}),
        ({"parent_a": None, "parent_b": None, "normal_path": None}, set()),
    ],
)
def test_a_pair_comes_from_its_parents_on_this_product_and_its_normal_image(values, origins):
    assert [found.origins for found in pair_pieces([shown_pair(**values)], 640, 8)] == [origins]


def test_who_comes_from_a_counterpart_comes_from_its_parent_too():
    made = [piece("pit", "0", "pit/1", "pit/0#defect_free"), piece("pit", "1", "pit/1", "good/0")]
    assert [one.origins for one in with_parents(made, REAL)] == [
        {"pit/1", "pit/0#defect_free", "pit/0"},
        {"pit/1", "good/0"},
    ]


def test_a_simulated_defect_is_cut_and_normalised_as_a_pair_is():
    pixels, mask = np.full((60, 80, 3), 50, np.uint8), np.zeros((60, 80), bool)
    pixels[:30] = 150
    mask[10:14, 70:74] = True
    made = synthetic_piece(pixels, mask, "pit", "perlin/0", frozenset({"good/0"}), 8)
    (same,) = pair_pieces([shown_pair()], 640, 8)
    assert (made.scene.mask == same.scene.mask).all()
    assert (made.scene.pixels == same.scene.pixels).all()
    assert (made.scene.level, made.scene.spread) == (100, 50)


def test_the_digest_tells_pixels_masks_names_and_order_apart():
    one, other = real_piece(sample("pit", 0), 640), real_piece(sample("pit", 1), 640)
    mask = np.zeros((48, 48), bool)
    mask[1, 1] = True
    moved = real_piece(sample("pit", 0, mask=mask), 640)
    normal = real_piece(sample(GOOD, 0), 640)
    assert digest_of([one]) == digest_of([other])  # the same content under another path
    digests = [digest_of(pieces) for pieces in ([one], [moved], [replace(one, defect="scratch")], [normal], [one] * 2)]
    digests += [digest_of([one, moved]), digest_of([moved, one]), digest_of([])]
    assert len(set(digests)) == len(digests)
