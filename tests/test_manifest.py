import pyarrow.parquet as pq
import pytest
import rows

from pipeline_tasks import manifest
from pipeline_tasks.errors import DataError, SchemaError
from pipeline_tasks.manifest import gather, read_manifest, read_selected
from pipeline_tasks.schema import Pair, Sample
from pipeline_tasks.storage import ROWS_PER_GROUP, write_rows


def sample(index):
    return rows.sample(source_path=f"{index}.png")


@pytest.fixture
def files(tmp_path):
    sizes = {"a": range(ROWS_PER_GROUP + 3), "b": range(100, 104), "c": range(0)}
    for name, indices in sizes.items():
        write_rows(tmp_path / f"{name}.parquet", map(sample, indices), Sample)
    return [tmp_path / f"{name}.parquet" for name in sizes]


def test_a_manifest_has_every_row_in_order_and_no_pixels(files):
    table = read_manifest(files, Sample)
    expected = [*range(ROWS_PER_GROUP + 3), *range(100, 104)]
    assert table["source_path"].to_pylist() == [f"{i}.png" for i in expected]
    assert not {"image", "mask"} & set(table.column_names)


def test_no_files_give_an_empty_manifest_with_its_columns():
    table = read_manifest([], Sample)
    assert (table.num_rows, "mask_area_px" in table.column_names) == (0, True)


@pytest.mark.parametrize("rows_at_a_time", [1, 2**14])
def test_gathered_tables_are_one_file_of_the_same_rows(files, tmp_path, monkeypatch, rows_at_a_time):
    monkeypatch.setattr(manifest, "GATHERED_ROWS", rows_at_a_time)
    gather(files, Sample, tmp_path / "all.parquet")
    assert pq.read_table(tmp_path / "all.parquet").equals(read_manifest(files, Sample))


def test_a_table_of_another_kind_is_not_gathered(files, tmp_path):
    with pytest.raises(SchemaError, match=r"a\.parquet: not a Pair table"):
        gather(files, Pair, tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()


def test_selected_rows_are_whole(files):
    wanted = {"1.png", f"{ROWS_PER_GROUP + 1}.png", "103.png", "nowhere.png"}
    found = list(read_selected(files, Sample, "source_path", wanted))
    assert found == [sample(1), sample(ROWS_PER_GROUP + 1), sample(103)]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.parquet: missing"):
        read_manifest([tmp_path / "gone.parquet"], Sample)
