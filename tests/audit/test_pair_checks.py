from dataclasses import asdict, replace

import numpy as np
import pytest
from rows import pair

from pipeline_tasks.audit.origins import Origins, Rules
from pipeline_tasks.audit.pair_checks import FROM_MASK, OF_BASE, faults_of
from pipeline_tasks.images.codec import encode_image, encode_mask, image_digest, mask_digest
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.provenance import sealed
from pipeline_tasks.seeds import derive_seed

DILATION = 3


@pytest.fixture
def made():
    """A pair whose row is as it was made, and what it was made of."""
    normal = np.random.default_rng(0).integers(50, 200, (16, 24, 3), dtype=np.uint8)
    mask = np.zeros((16, 24), bool)
    mask[4:8, 5:9] = True
    image = normal.copy()
    image[dilate(mask, DILATION)] += 40
    values = {"image_sha256": image_digest(image), "mask_sha256": mask_digest(mask), "width": 24, "height": 16}
    row = pair("pit", 3, image=encode_image(image), mask=encode_mask(mask), attempts=1, **values)
    row = sealed(replace(row, seed=row.mask_seed, reference=row.parent_a))
    masks = {theirs: getattr(row, ours) for ours, theirs in FROM_MASK.items()}
    masks |= {"seed": row.mask_seed, "source": row.source, "digest": row.mask_sha256}
    parents = dict.fromkeys({row.parent_a, row.parent_b}, "0" * 64)
    rules = Rules(asked=9, dilation_px=DILATION, whole=False)
    normals = {row.normal_path: row.normal_sha256}
    return row, Origins({3: masks}, parents, normals, {row.normal_path: normal}.__getitem__, rules)


def changed(row, image):
    return sealed(replace(row, image=encode_image(image), image_sha256=image_digest(image)))


def test_a_row_as_it_was_made_has_no_faults(made):
    assert faults_of(*made) == []


def test_any_edited_column_breaks_the_seal(made):
    row, origins = made
    for name in (name for name, value in asdict(row).items() if isinstance(value, float)):
        assert "edited since it was made: its seal does not fit" in faults_of(replace(row, **{name: 0.123}), origins)


@pytest.mark.parametrize(("column", "other"), [("image", "image_sha256"), ("mask", "mask_sha256")])
def test_other_pixels_are_named_by_their_column(made, column, other):
    row, origins = made
    pixels = np.full((16, 24, 3) if column == "image" else (16, 24), column == "mask", np.uint8)
    png = encode_image(pixels) if column == "image" else encode_mask(pixels.astype(bool))
    assert [told for told in faults_of(replace(row, **{column: png}), origins) if other in told]


def test_pixels_that_cannot_be_read_are_told(made):
    row, origins = made
    assert [told for told in faults_of(replace(row, image=b"no PNG"), origins) if "cannot be read" in told]


def test_a_mask_is_pixel_for_pixel_its_mask_rows(made):
    row, origins = made
    mask = np.zeros((16, 24), bool)
    mask[4:8, 5:8] = True  # one column less: the image still equals the normal one outside of it, dilated
    other = sealed(replace(row, mask=encode_mask(mask), mask_sha256=mask_digest(mask)))
    told = faults_of(other, replace(origins, rules=replace(origins.rules, dilation_px=5)))
    assert told == ["its mask is not, pixel for pixel, the one in the masks table"]


def test_outside_of_the_dilated_mask_it_differs_from_its_normal_image_as_the_row_says(made):
    row, origins = made
    image = origins.pixels_of(row.normal_path).copy()
    image[0, 0, 1] += 7
    told = "outside of the dilated mask it differs from its normal image by up to 7 grey levels"
    assert faults_of(changed(row, image), origins) == [f"{told}, and change_outside_max is 0"]
    assert faults_of(changed(replace(row, change_outside_max=7), image), origins) == []
    image[0, 0, 1] -= 14  # as far the other way
    assert faults_of(changed(replace(row, change_outside_max=7), image), origins) == []


def test_how_far_the_mask_is_dilated_is_the_versions(made):
    row, origins = made
    less = replace(origins, rules=replace(origins.rules, dilation_px=DILATION - 1))
    assert faults_of(row, less) == [
        "outside of the dilated mask it differs from its normal image by up to 40 grey levels, "
        "and change_outside_max is 0"
    ]


def test_an_image_of_another_size_than_its_normal_image_is_told(made):
    row, origins = made
    told = faults_of(changed(row, np.zeros((16, 20, 3), np.uint8)), origins)
    assert told == ["its image, mask and normal image are not all of 24 x 16 px"]


def test_a_later_attempt_has_the_seed_that_is_derived_for_it(made):
    row, origins = made
    third = replace(row, attempts=3, seed=derive_seed(row.mask_seed, "attempt", 2))
    assert faults_of(sealed(third), origins) == []
    told = faults_of(sealed(replace(third, seed=derive_seed(row.mask_seed, "attempt", 3))), origins)
    assert len(told) == 1 and told[0].startswith("seed is ")


@pytest.mark.parametrize("column", [*FROM_MASK, "source", "mask_seed"])
def test_what_is_not_as_in_the_masks_table_is_named(made, column):
    row, origins = made
    theirs = {"mask_seed": "seed", "source": "source", **FROM_MASK}[column]
    masks = {3: {**origins.masks[3], theirs: "another"}}
    assert [told for told in faults_of(row, replace(origins, masks=masks)) if told.startswith(f"{column} is ")]


def test_origins_that_are_gone_are_named(made):
    row, origins = made
    assert "the masks table has no row of its index" in faults_of(row, replace(origins, masks={}))
    told = f"{' and '.join(OF_BASE)} is '{row.parent_a}', which is not in the base set of plate"
    assert faults_of(row, replace(origins, parents={})) == [told]
    told = f"its normal image '{row.normal_path}' is not the one in the base set"
    assert told in faults_of(row, replace(origins, normals={str(row.normal_path): "1" * 64}))


@pytest.mark.parametrize("column", ["reference", "nearest_base"])
def test_a_real_defect_of_the_test_set_is_no_reference(made, column):
    row, origins = made
    told = faults_of(sealed(replace(row, **{column: "test/pit/009.png"})), origins)
    assert told == [f"{column} is 'test/pit/009.png', which is not in the base set of plate"]


def test_a_pair_without_a_reference_has_none_to_be_found(made):
    row, origins = made
    assert faults_of(sealed(replace(row, reference=None)), origins) == []


@pytest.fixture
def whole(made):
    """A pair that the generator made whole, and the rules of such a version."""
    row, origins = made
    normal = origins.pixels_of(row.normal_path)
    nothing = dict.fromkeys(("normal_path", "parent_a", "parent_b", "alpha", "reference"))
    own = {"mask_kind": "attention", "warp": [], "normal": encode_image(normal), "normal_sha256": image_digest(normal)}
    masks = {3: {**origins.masks[3], "digest": "of another mask"}}
    rules = replace(origins.rules, whole=True)
    return sealed(replace(row, **nothing, **own)), replace(origins, masks=masks, rules=rules)


def test_a_pair_that_the_generator_made_whole_has_its_own_mask_and_normal_image(whole):
    row, origins = whole
    assert faults_of(row, origins) == []
    told = faults_of(sealed(replace(row, normal_sha256="0" * 64)), origins)
    assert told == ["its normal image is not the one that was made (normal_sha256)"]


def test_it_is_held_against_its_own_normal_image(whole):
    row, origins = whole
    normal = np.zeros((16, 24, 3), np.uint8)
    told = faults_of(sealed(replace(row, normal=encode_image(normal), normal_sha256=image_digest(normal))), origins)
    assert len(told) == 1 and told[0].endswith("and change_outside_max is 0")


def test_nobody_is_exempt_from_the_masks_table_by_saying_so(made, whole):
    row, origins = made
    (told,) = faults_of(whole[0], origins)
    assert told.startswith("mask_kind is 'attention', normal_path None, with a normal image of its own: params.yaml")
    (told, *_) = faults_of(row, whole[1])
    assert told.endswith("without a normal image of its own: params.yaml lets the generator make all of it")


def test_a_row_that_no_check_was_made_for_is_none_that_holds(made):
    row, origins = made
    (told,) = faults_of(replace(row, warp=[None] * 6), origins)
    assert told.startswith("it cannot be checked (TypeError(")
