import re
import shutil
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pytest
from rows import PLAIN, SQUARE, mask_row, sample
from small_version import BASE, CATALOG, MASKS, PAIRS, SmallVersion, made_pair, rejected

from pipeline_tasks.audit import tables
from pipeline_tasks.audit.row_links import row_links
from pipeline_tasks.errors import TransientError
from pipeline_tasks.images.codec import decode_mask, encode_image, encode_mask, image_digest
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.schema import MaskRow, Pair, Rejected, Sample

FIRST = f"{PAIRS}/00000.parquet"


@pytest.fixture
def version(tmp_path):
    return SmallVersion(tmp_path)


def link_of(version, record=None, change=None):
    """Return the link for the version's rows, with lineage.json as it is written of them, `change`d."""
    ground = version.ground()
    record = version.record(ground) if record is None else record
    if change:
        change(record["products"])
    ((link, code),) = row_links(ground, CATALOG, record)
    return link, code


def found(version, **options):
    link, _ = link_of(version, **options)
    return link.verdict, link.found


def test_a_sound_version_holds(version):
    link, code = link_of(version)
    assert link.verdict == "ok" and link.found.startswith("3 pairs of 1 run: their seals, pixels, ")
    assert link.found.endswith("; 1 more were rejected") and code == {"c" * 40}


def test_a_faulty_row_is_named_wherever_it_is(version):
    version.tables[f"{PAIRS}/00001.parquet"] = Pair, [replace(made_pair(3), alignment=0.95)]
    assert found(version) == ("broken", "pair plate/pit/000003: edited since it was made: its seal does not fit")


@pytest.mark.parametrize("key", ["source", "digest", "pairs", "rows_sha256", "parents", "normals"])
def test_what_lineage_json_says_otherwise_is_named(version, key):
    def edit(products):
        products["plate"]["defects"]["pit"][key] = "another"

    assert found(version, change=edit) == ("broken", f"they are not what lineage.json was written of: {key} differ")


def test_what_lineage_json_says_beside_or_not_at_all_is_named(version):
    def edit(products):
        del products["plate"]["defects"]["pit"]["parents"]
        products["plate"]["defects"]["pit"]["made_from"] = {}

    assert found(version, change=edit)[1].endswith(": parents, made_from differ")


def test_a_lineage_json_of_other_rows_does_not_pass_for_theirs(version):
    record = version.record(version.ground())
    version.tables[FIRST] = Pair, [made_pair(0), made_pair(1, parent_b="base/pit/001.png")]
    version.tables[MASKS] = MaskRow, [mask_row(i, parent_b=f"base/pit/00{int(i == 1)}.png") for i in range(5)]
    told = "they are not what lineage.json was written of: digest, rows_sha256, parents differ"
    assert found(version, record=record) == ("broken", told)


@pytest.mark.parametrize("record", [{"products": {}}, {"products": {"plate": {"samples": [], "defects": {}}}}])
def test_a_lineage_json_without_the_product_or_the_defect_is_told(version, record):
    assert found(version, record=record) == ("broken", "lineage.json does not name it")


def test_without_lineage_json_nothing_is_compared_with_it(version):
    ((link, _),) = row_links(version.ground(), CATALOG, None)
    assert link.verdict == "ok"


def test_a_mask_of_another_shape_than_its_row_is_told(version):
    row = mask_row(1)
    mask = decode_mask(row.mask)
    mask[0, 0] = True
    version.tables[MASKS] = MaskRow, [mask_row(0), replace(row, mask=encode_mask(mask)), *map(mask_row, range(2, 5))]
    told = "pair plate/pit/000001: its mask is not, pixel for pixel, the one in the masks table"
    assert found(version) == ("broken", told)


def test_a_mask_row_without_a_picture_is_told_of_its_pair(version):
    version.tables[MASKS] = MaskRow, [mask_row(0), replace(mask_row(1), mask=b"none"), *map(mask_row, range(2, 5))]
    assert "pair plate/pit/000001: its mask is not, pixel for pixel" in found(version)[1]


def test_a_masks_table_with_an_index_twice_is_told(version):
    version.tables[MASKS] = MaskRow, [*map(mask_row, range(5)), mask_row(4)]
    assert found(version) == ("broken", "the masks table has index 4 more than once")


def test_a_mask_that_became_neither_a_pair_nor_rejected_is_named(version):
    version.tables[f"{PAIRS}/rejected/00001.parquet"] = Rejected, []
    assert found(version) == ("broken", "masks 2 became neither pairs nor rejected")


def test_a_mask_that_became_both_is_named(version):
    version.tables[f"{PAIRS}/rejected/00000.parquet"] = Rejected, [rejected(1)]
    assert found(version) == ("broken", "masks 1 became pairs or rejected more than once")


def test_a_pair_that_is_there_twice_is_named(version):
    version.tables[FIRST] = Pair, [made_pair(0), made_pair(1), made_pair(1)]
    told = "masks 1 became pairs or rejected more than once; 4 pairs, and 3 were asked for, with 1 masks left"
    assert found(version)[1].startswith(told)


def test_a_rejected_pair_of_no_mask_is_named(version):
    version.tables[MASKS] = MaskRow, [mask_row(0), mask_row(1), mask_row(3), mask_row(4)]
    told = "masks 2 are rejected, and the masks table has none of them"
    assert found(version) == ("broken", told)


def test_pairs_that_were_taken_from_the_end_are_told(version):
    version.tables[f"{PAIRS}/00001.parquet"] = Pair, []
    version.tables[f"{PAIRS}/rejected/00001.parquet"] = Rejected, []
    told = "2 pairs, and 3 were asked for, with 3 masks left to make them of"
    assert found(version) == ("broken", told)


def test_fewer_pairs_than_were_asked_for_may_be_all_that_its_masks_gave(version):
    version.sections = {"masks": {"pairs_per_defect": 9}}
    version.tables[MASKS] = MaskRow, [mask_row(index) for index in range(4)]
    assert found(version)[0] == "ok"


def test_pairs_are_held_against_the_normal_images_of_the_version(version):
    version.tables[f"{BASE}/good.parquet"] = Sample, [sample("good", 0, pixels=PLAIN + np.uint8(5))]
    told = "outside of the dilated mask it differs from its normal image by up to 5 grey levels"
    assert found(version)[1].count(told) == 3


def test_how_far_masks_are_dilated_is_read_of_the_versions_parameters(version):
    image = PLAIN.copy()
    image[dilate(SQUARE, 3)] += 9
    made = made_pair(3, image=encode_image(image), image_sha256=image_digest(image))
    version.tables[f"{PAIRS}/00001.parquet"] = Pair, [made]
    version.sections["generate"] = {"dilation_px": 3}
    assert found(version)[0] == "ok"
    version.sections["generate"] = {"dilation_px": 2}
    assert "pair plate/pit/000003: outside of the dilated mask it differs" in found(version)[1]


@dataclass(frozen=True, slots=True)
class Older:
    """A table of a time when there was one column."""

    pair_index: Annotated[int, "index"]


@pytest.mark.parametrize("path", [FIRST, MASKS, f"{BASE}/pit.parquet", f"{PAIRS}/rejected/00000.parquet"])
def test_tables_of_another_time_are_left_to_the_code_of_that_time(version, path):
    record = version.record(version.ground())
    version.tables[path] = Older, [Older(0)]
    link, code = link_of(version, record=record)
    assert (link.verdict, link.remedy, code) == ("unchecked", tables.OWN_CODE, set())
    assert re.fullmatch(r"this code does not know their columns: not a \w+ table, columns differ: \[.*\]", link.found)


def test_parameters_of_another_time_are_left_to_the_code_of_that_time(version):
    ground = version.ground()
    (ground.tree / "params.yaml").write_text("masks: {pairs_per_defect: 3}\ngenerate: {}\nbackend: {name: paste}\n")
    ((link, _),) = row_links(ground, CATALOG, None)
    assert (link.verdict, link.remedy) == ("unchecked", tables.OWN_CODE)
    assert link.found.startswith("they cannot be checked: the version's params.yaml does not tell ")
    (ground.tree / "params.yaml").unlink()
    ((link, _),) = row_links(replace(ground), CATALOG, None)
    assert link.verdict == "unchecked" and "params.yaml: missing" in link.found


def test_a_table_that_is_no_table_is_broken(version):
    ground = version.ground()
    (version.root / MASKS).write_bytes(b"no table")
    ground.lock.stages["masks@plate-pit"]["outs"] = [version.keep(MASKS)]
    ((link, _),) = row_links(ground, CATALOG, None)
    assert link.verdict == "broken" and "not a readable Parquet file" in link.found


def test_tables_that_the_remote_lacks_are_unchecked(version):
    ground = version.ground()
    shutil.rmtree(version.root / "store")
    ((link, _),) = row_links(ground, CATALOG, None)
    assert link.verdict == "unchecked" and link.remedy == "see the objects of its pairs, masks and samples"


def test_a_lock_without_the_output_is_broken(version):
    ground = version.ground()
    del ground.lock.stages["masks@plate-pit"]
    ((link, _),) = row_links(ground, CATALOG, None)
    assert link.verdict == "broken" and "no output '*.parquet' of stage masks@plate-pit" in link.found


def test_a_remote_that_cannot_be_read_ends_the_audit(version, monkeypatch):
    ground = version.ground()

    def refuse(*_):
        raise PermissionError("not yours")

    monkeypatch.setattr(ground.objects.places[0].database, "open", refuse)
    with pytest.raises(TransientError, match="not yours"):
        list(row_links(ground, CATALOG, None))
