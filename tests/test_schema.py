import pyarrow as pa
import pytest

from pipeline_tasks.schema import PIXEL_COLUMNS, MaskRow, Pair, Rejected, Sample, SetAside, StrengthTrial, arrow_schema

TABLES = [Sample, SetAside, MaskRow, Pair, StrengthTrial, Rejected]


@pytest.mark.parametrize("row", TABLES)
def test_every_column_says_what_it_means(row):
    schema = arrow_schema(row)
    assert schema.metadata == {b"table": row.__name__.encode()}
    assert all(len(field.metadata[b"meaning"]) > 5 for field in schema)


def test_columns_follow_the_annotations():
    schema = arrow_schema(Sample)
    assert schema.names == list(Sample.__slots__)
    assert {field.name for field in schema if field.nullable} == {"derived_from", "group", "mask", "mask_x", "mask_y"}
    assert schema.field("width").type == pa.int64()
    assert schema.field("mask_area_fraction").type == pa.float64()
    assert schema.field("image").type == schema.field("mask").type == pa.binary()
    assert arrow_schema(MaskRow).field("warp").type == pa.list_(pa.float64())
    assert arrow_schema(Pair).field("normal_derived").type == pa.bool_()


def test_a_pair_that_is_generated_whole_has_no_normal_image_and_no_parents_of_its_own():
    nullable = {field.name for field in arrow_schema(Pair) if field.nullable}
    scales = {"product_scale", "defect_scale", "agreement"}
    assert nullable == {"normal_path", "parent_a", "parent_b", "alpha", "normal", "reference"} | scales


def test_a_rejected_pair_is_named_and_scored_as_its_pair_would_be():
    pair, rejected = arrow_schema(Pair), arrow_schema(Rejected)
    assert set(rejected.names) - set(pair.names) == {"reason"}
    assert all(field.type == pair.field(field.name).type for field in rejected if field.name != "reason")
    named = ("pair_index", "product", "defect")
    assert all(rejected.field(name).equals(pair.field(name), check_metadata=True) for name in named)


@pytest.mark.parametrize("row", TABLES)
def test_the_pixels_are_the_binary_columns(row):
    binary = {field.name for field in arrow_schema(row) if field.type == pa.binary()}
    assert binary == PIXEL_COLUMNS & set(arrow_schema(row).names)


def test_a_row_cannot_change():
    row = SetAside("plate", "a.png", "no mask", "", "add it")
    with pytest.raises(AttributeError):
        row.reason = "none"
