from dataclasses import replace

import cv2
import numpy as np
import pytest
from rows import pair

from pipeline_tasks.audit.pair_likeness import TOLERANCE_LEVELS, TOLERANCES, likeness
from pipeline_tasks.images.codec import encode_image, encode_mask, image_digest, mask_digest
from pipeline_tasks.provenance import sealed
from pipeline_tasks.schema import ATTENTION

GREY = np.full((16, 16, 3), 100, np.uint8)
MASK = np.zeros((16, 16), bool)
MASK[:10, :10] = True


@pytest.fixture
def then():
    row = pair("pit", 0, image=encode_image(GREY), mask=encode_mask(MASK), image_sha256=image_digest(GREY))
    return sealed(replace(row, mask_sha256=mask_digest(MASK), agreement=0.5, reference="base/pit/000.png"))


def shifted(then, levels, pixels):
    image = GREY.copy()
    image.reshape(-1, 3)[:pixels] += np.uint8(levels)
    return sealed(replace(then, image=encode_image(image), image_sha256=image_digest(image), phash="0" * 16))


def differing(then, **values):
    found = likeness(then, sealed(replace(then, **values)))
    return found.beyond, found.rounded


def test_the_same_pair_differs_in_nothing(then):
    found = likeness(then, then)
    assert (found.beyond, found.rounded, found.later, found.encoded, found.most) == ([], [], False, False, 0)


def test_later_code_brings_its_own_run_and_seal(then):
    found = likeness(then, sealed(replace(then, code_revision="d" * 40, run_id="e" * 64)))
    assert (found.beyond, found.rounded, found.later) == ([], [], True)


def test_the_same_code_on_the_same_inputs_is_the_same_run(then):
    assert differing(then, run_id="e" * 64)[0] == ["run_id", "row_sha256"]


def test_other_bytes_of_the_same_pixels_are_no_difference(then):
    png = cv2.imencode(".png", GREY, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    found = likeness(then, replace(then, image=png))
    assert (found.beyond, found.rounded, found.encoded) == ([], [], True)


def test_rounded_pixels_bring_their_digest_hash_and_seal(then):
    found = likeness(then, shifted(then, TOLERANCE_LEVELS, 16))
    assert (found.beyond, found.rounded) == ([], ["phash", "image_sha256", "image"])
    assert (found.mean, found.most) == (0.5, TOLERANCE_LEVELS)


@pytest.mark.parametrize(("levels", "pixels"), [(TOLERANCE_LEVELS + 1, 1), (1, 200)])
def test_more_than_rounding_is_beyond(then, levels, pixels):
    assert likeness(then, shifted(then, levels, pixels)).beyond == ["phash", "image_sha256", "row_sha256", "image"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((name, "0" * 64) for name in ("image_sha256", "phash", "mask_sha256", "normal_sha256")),
        *((name, 0.7) for name in ("mask_x", "mask_y", "mask_area_fraction")),
        ("mask_area_px", 7),
    ],
)
def test_what_follows_from_pixels_differs_with_them_alone(then, column, value):
    assert set(differing(then, **{column: value})[0]) == {column, "row_sha256"}


def test_a_seal_that_differs_alone_is_beyond(then):
    assert likeness(then, replace(then, row_sha256="0" * 64)).beyond == ["row_sha256"]


SCORES = sorted(set(TOLERANCES) - {"appearance_code"})


@pytest.mark.parametrize("column", SCORES)
def test_scores_may_differ_by_rounding_and_no_more(then, column):
    value, tolerance = getattr(then, column), TOLERANCES[column]
    cast = int if column == "change_outside_max" else float
    assert differing(then, **{column: cast(value + tolerance)}) == ([], [column])
    assert differing(then, **{column: cast(value - tolerance * 1.5)})[0] == [column, "row_sha256"]
    if column == "agreement":
        assert differing(then, agreement=None)[0] == ["agreement", "row_sha256"]


def test_the_code_of_the_look_may_differ_by_rounding_and_no_more(then):
    code = then.appearance_code
    assert differing(then, appearance_code=[value + 5e-4 for value in code]) == ([], ["appearance_code"])
    assert differing(then, appearance_code=[value + 5e-3 for value in code])[0] == ["appearance_code", "row_sha256"]
    assert differing(then, appearance_code=code[:-1])[0] == ["appearance_code", "row_sha256"]


def test_the_nearest_defect_may_be_another_one(then):
    assert differing(then, nearest_base="base/pit/001.png") == ([], ["nearest_base"])


@pytest.mark.parametrize(
    "values",
    [
        {"seed": 7, "attempts": 2},
        {"prompt": "another"},
        {"parent_b": "base/pit/009.png", "alpha": 0.01},
        {"backend_digest": "b" * 64},
        {"reference": None},
        {"fused_with": [1]},
        {"normal_path": None},
        {"width": 9},
    ],
)
def test_every_other_column_is_equal_on_any_hardware(then, values):
    assert set(differing(then, **values)[0]) == {*values, "row_sha256"}


def remasked(then, pixels, kind):
    mask = MASK.copy()
    mask.ravel()[:pixels] = False
    then = sealed(replace(then, mask_kind=kind))
    values = {"mask": encode_mask(mask), "mask_sha256": mask_digest(mask), "mask_area_px": int(mask.sum())}
    return likeness(then, sealed(replace(then, **values)))


def test_a_mask_of_the_generators_attention_may_be_rounded(then):
    found = remasked(then, 1, ATTENTION)
    assert (found.beyond, found.rounded) == ([], ["mask_area_px", "mask_sha256", "mask"])
    assert remasked(then, 2, ATTENTION).beyond == ["mask_area_px", "mask_sha256", "row_sha256", "mask"]


def test_a_mask_of_the_masks_table_is_the_same_on_any_hardware(then):
    assert remasked(then, 1, "transformed").beyond == ["mask_area_px", "mask_sha256", "row_sha256", "mask"]


def test_pixels_that_are_gone_or_of_another_size_are_beyond(then):
    assert "image" in likeness(then, replace(then, image=b"no PNG")).beyond
    assert "image" in likeness(then, replace(then, image=encode_image(GREY[:9]))).beyond
    assert "mask" in likeness(then, replace(then, mask=b"no PNG")).beyond
    assert "normal" in likeness(then, replace(then, normal=encode_image(GREY))).beyond


def test_the_generators_own_normal_image_may_be_rounded(then):
    then = sealed(replace(then, normal=encode_image(GREY), normal_sha256=image_digest(GREY)))
    near = GREY.copy()
    near[0, 0] += 3
    values = {"normal": encode_image(near), "normal_sha256": image_digest(near)}
    assert differing(then, **values) == ([], ["normal_sha256", "normal"])
    far = GREY + np.uint8(3)
    values = {"normal": encode_image(far), "normal_sha256": image_digest(far)}
    assert differing(then, **values)[0] == ["normal_sha256", "row_sha256", "normal"]
