from dataclasses import replace

import numpy as np
import pytest
from rows import PLAIN, sample
from small_version import BASE, CATALOG, TEST, SmallVersion

from pipeline_tasks.audit import tables
from pipeline_tasks.audit.sample_links import sample_links
from pipeline_tasks.images.codec import encode_image, image_digest
from pipeline_tasks.schema import GOOD, MaskRow, Sample


@pytest.fixture
def version(tmp_path):
    return SmallVersion(tmp_path)


@pytest.fixture
def derived(version):
    """The same with a counterpart of a defect beside its normal image."""
    version.tables[f"{BASE}/good.parquet"] = Sample, [sample("good", 0), counterpart()]
    return version


def counterpart(**values):
    pixels = PLAIN + np.uint8(3)
    own = {"source_path": "base/pit/000.png#defect_free", "sha256": image_digest(pixels), "image": encode_image(pixels)}
    return replace(sample(GOOD, 0), **own | {"derived_from": "base/pit/000.png"} | values)


def found(version, change=None, record=None):
    ground = version.ground()
    record = version.record(ground) if record is None else record
    if change:
        change(record["products"]["plate"]["samples"])
    ((link, product, samples),) = sample_links(ground, CATALOG, record)
    assert product == "plate" and len(samples) >= 5
    return link.verdict, link.found


def test_samples_that_are_as_lineage_json_says_hold(derived):
    assert found(derived) == ("ok", "6 samples, as lineage.json says")


def test_samples_that_lineage_json_knows_otherwise_are_named(version):
    def edit(samples):
        samples[0]["sha256"] = "0" * 64
        del samples[1]

    told = "their tables are not what lineage.json says: base/good/000.png, base/pit/000.png"
    assert found(version, edit) == ("broken", told)


def test_a_lineage_json_that_does_not_name_the_product_is_told(version):
    assert found(version, record={"products": {}}) == ("broken", "lineage.json does not name it")


def test_without_lineage_json_the_tables_are_read_all_the_same(derived):
    ((link, _, samples),) = sample_links(derived.ground(), CATALOG, None)
    told = "6 samples, and no lineage.json to compare them with"
    assert (link.verdict, link.found, len(samples)) == ("ok", told, 6)


@pytest.mark.parametrize("image", [encode_image(PLAIN), b"no PNG"])
def test_a_counterpart_with_other_pixels_than_its_sha256_is_of_is_named(derived, image):
    derived.tables[f"{BASE}/good.parquet"] = Sample, [sample("good", 0), counterpart(image=image)]
    told = "base/pit/000.png#defect_free: its pixels are not those that its SHA-256 is of"
    assert found(derived) == ("broken", told)


@pytest.mark.parametrize("origin", ["test/pit/002.png", "base/pit/009.png", "base/pit/000.png#defect_free"])
def test_a_counterpart_of_no_real_base_sample_is_named(derived, origin):
    derived.tables[f"{BASE}/good.parquet"] = Sample, [sample("good", 0), counterpart(derived_from=origin)]
    assert found(derived) == ("broken", "base/pit/000.png#defect_free: it is not a base sample made of one")


def test_nothing_that_is_made_is_tested_on(derived):
    derived.tables[f"{TEST}/good.parquet"] = Sample, [counterpart(split="test")]
    told = "base/pit/000.png#defect_free: it is not a base sample made of one"
    assert told in found(derived)[1]


def test_tables_of_another_time_are_left_to_the_code_of_that_time(version):
    version.tables[f"{TEST}/pit.parquet"] = MaskRow, []
    ((link, _, samples),) = sample_links(version.ground(), CATALOG, None)
    assert (link.verdict, link.remedy, samples) == ("unchecked", tables.OWN_CODE, [])


def test_samples_that_the_remote_lacks_are_unchecked(version):
    ground = version.ground()
    for file in (version.root / "store").iterdir():
        file.unlink()
    ((link, _, samples),) = sample_links(ground, CATALOG, None)
    assert (link.verdict, link.remedy, samples) == ("unchecked", "see the objects of the samples", [])
