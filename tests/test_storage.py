import json
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_tasks import storage
from pipeline_tasks.errors import DataError, SchemaError
from pipeline_tasks.schema import MaskRow, SetAside, arrow_schema
from pipeline_tasks.storage import (
    PARTIAL,
    ROWS_PER_GROUP,
    atomic_file,
    atomic_folder,
    bounded_groups,
    content_digest,
    open_table,
    read_json,
    read_rows,
    replace_folder,
    sample_files,
    write_json,
    write_rows,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A table with every kind of column."""

    name: Annotated[str, "name"]
    count: Annotated[int, "count"]
    level: Annotated[float, "level"]
    good: Annotated[bool, "good"]
    points: Annotated[list[float], "points"]
    image: Annotated[bytes, "pixels"]
    note: Annotated[str | None, "remark"]


READING = Reading("a", 1, 0.5, True, [1.0, 2.0], b"\x00\xff", None)


def readings(count):
    return [replace(READING, name=f"r{i}", count=i, note=None if i % 2 else "odd") for i in range(count)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("count", [0, 1, ROWS_PER_GROUP, 3 * ROWS_PER_GROUP + 5])
def test_rows_come_back_as_they_were_written(tmp_path, count):
    assert write_rows(tmp_path / "t.parquet", iter(readings(count)), Reading) == count
    assert list(read_rows(tmp_path / "t.parquet", Reading)) == readings(count)


def test_the_file_explains_its_columns(tmp_path):
    write_rows(tmp_path / "t.parquet", readings(1), Reading)
    assert pq.read_schema(tmp_path / "t.parquet").field("note").metadata[b"meaning"] == b"remark"


def test_equal_rows_make_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_rows(tmp_path / name, readings(50), Reading)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_are_written_in_groups_that_fit_in_memory(tmp_path):
    write_rows(tmp_path / "t.parquet", iter(readings(3 * ROWS_PER_GROUP + 1)), Reading)
    metadata = open_table(tmp_path / "t.parquet", Reading).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [ROWS_PER_GROUP] * 3 + [1]


def test_large_rows_are_held_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "BYTES_PER_GROUP", 1000)
    large = [replace(READING, count=i, image=bytes([i]) * 600) for i in range(5)]
    path = tmp_path / "t.parquet"
    write_rows(path, large, Reading)
    metadata = open_table(path, Reading).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [2, 2, 1]
    assert list(read_rows(path, Reading)) == large
    begin = metadata.row_group(2).column(0).file_offset or metadata.row_group(2).column(0).dictionary_page_offset
    whole = bytearray(path.read_bytes())
    whole[begin : begin + 200] = b"\xff" * 200
    path.write_bytes(whole)
    assert list(islice(read_rows(path, Reading), 4)) == large[:4]  # the damaged last group is not read ahead


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [([], []), ([1] * 7, [3, 3, 1]), ([10, 1, 1, 9, 1], [1, 3, 1]), ([99, 99], [1, 1])],
)
def test_groups_close_by_number_or_by_size(sizes, groups):
    made = list(bounded_groups(sizes, 3, 10, lambda size: size))
    assert [len(group) for group in made] == groups
    assert [size for group in made for size in group] == sizes


@pytest.mark.parametrize("folder", ["base", "base/plate"])
def test_sample_tables_are_found_for_one_product_and_for_several(tmp_path, folder):
    for name in ("plate/pit", "plate/good", "tile/crack"):
        write_rows(tmp_path / "base" / f"{name}.parquet", [], Reading)
    (tmp_path / "base/plate/notes.txt").touch()
    names = ["plate/good", "plate/pit", "tile/crack"][: 3 if folder == "base" else 2]
    assert sample_files(tmp_path / folder) == [tmp_path / "base" / f"{name}.parquet" for name in names]


def test_what_a_killed_write_left_behind_is_no_sample_table_and_no_content(tmp_path):
    write_rows(tmp_path / "base/plate/pit.parquet", [], Reading)
    before = content_digest(tmp_path / "base")
    for left in ("base/.plate.x1.part/plate/pit.parquet", "base/plate/.pit.parquet.x2.part"):
        write_rows(tmp_path / left, [], Reading)
    assert sample_files(tmp_path / "base") == [tmp_path / "base/plate/pit.parquet"]
    assert content_digest(tmp_path / "base") == before


def test_a_folder_without_sample_tables_is_named(tmp_path):
    with pytest.raises(DataError, match="base: no samples; run `dvc repro`"):
        sample_files(tmp_path / "base")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": None}, "Reading.name holds a null"),
        ({"name": 5}, "Reading.name should hold string"),
        ({"count": "5"}, "Reading.count should hold int64"),
        ({"count": 1.5}, "Reading.count should hold int64"),
        ({"count": True}, "Reading.count should hold int64"),
        ({"count": 2**63}, "Reading.count should hold int64"),
        ({"level": "high"}, "Reading.level should hold double"),
        ({"good": 1}, "Reading.good should hold bool"),
        ({"points": 1.0}, "Reading.points should hold list"),
        ({"points": [1.0, None]}, "Reading.points holds a null"),
        ({"image": None}, "Reading.image holds a null"),
        ({"note": 3}, "Reading.note should hold string"),
    ],
)
def test_a_row_with_a_wrong_value_is_refused_and_the_old_file_stays(tmp_path, change, complaint):
    path = tmp_path / "t.parquet"
    write_rows(path, readings(2), Reading)
    old = path.read_bytes()
    with pytest.raises(SchemaError) as caught:
        write_rows(path, [*readings(ROWS_PER_GROUP), replace(READING, **change)], Reading)
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value)
    assert path.read_bytes() == old
    assert names(tmp_path) == ["t.parquet"]


def test_a_source_that_fails_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.parquet"
    write_rows(path, readings(2), Reading)

    def failing():
        yield from readings(2 * ROWS_PER_GROUP)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(path, failing(), Reading)
    assert list(read_rows(path, Reading)) == readings(2)
    assert names(tmp_path) == ["t.parquet"]


def test_a_table_of_another_kind_is_refused_naming_the_columns(tmp_path):
    write_rows(tmp_path / "t.parquet", [SetAside("plate", "a.png", "no mask", "", "add it")], SetAside)
    with pytest.raises(SchemaError, match=r"t\.parquet: not a MaskRow table.*pair_index.*reason.*re-run"):
        list(read_rows(tmp_path / "t.parquet", MaskRow))


def test_columns_in_another_order_are_refused(tmp_path):
    schema = arrow_schema(Reading)
    pq.write_table(pa.table(schema.empty_table().select(schema.names[::-1])), tmp_path / "t.parquet")
    with pytest.raises(SchemaError, match="their order"):
        open_table(tmp_path / "t.parquet", Reading)


def test_a_missing_table_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"t\.parquet: missing; run `dvc repro` to make it or `dvc pull` to fetch it"):
        open_table(tmp_path / "t.parquet", Reading)


def test_a_damaged_table_is_named_wherever_the_damage_is(tmp_path):
    path = tmp_path / "t.parquet"
    write_rows(path, [replace(READING, image=bytes(range(256)) * 40, count=i) for i in range(100)], Reading)
    whole = path.read_bytes()
    for damaged in (b"", b"text", whole[: len(whole) // 2], whole[:4] + b"\xff" * 400 + whole[404:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"t\.parquet: not a readable Parquet file.*delete it and run `dvc repro`"):
            list(read_rows(path, Reading))


def test_a_file_is_replaced_whole_and_readable_by_others(tmp_path):
    path = tmp_path / "deep" / "f.txt"
    with atomic_file(path) as partial:
        partial.write_text("new")
        assert not path.exists()
        assert partial.parent == path.parent
        assert partial.name.endswith(PARTIAL)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(path.parent) == ["f.txt"]


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with atomic_folder(path) as fresh:
        (fresh / "new.txt").write_text("new")
        assert names(path) == ["old.txt"]
    assert names(path) == ["new.txt"]
    assert path.stat().st_mode & 0o777 == 0o755
    assert names(tmp_path) == ["out"]


def test_a_folder_that_fails_in_the_middle_leaves_the_old_one(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with pytest.raises(OSError, match="disk full"), atomic_folder(path) as fresh:
        (fresh / "new.txt").write_text("new")
        raise OSError("disk full")
    assert names(path) == ["old.txt"]
    assert names(tmp_path) == ["out"]


def test_a_folder_may_take_the_place_of_nothing_or_of_a_file(tmp_path):
    for index, occupant in enumerate((None, "file")):
        path, fresh = tmp_path / f"a{index}" / "out", tmp_path / f"fresh{index}"
        if occupant:
            path.parent.mkdir()
            path.write_text(occupant)
        fresh.mkdir()
        (fresh / "x").write_text("x")
        replace_folder(fresh, path)
        assert names(path) == ["x"]
        assert names(path.parent) == ["out"]


def test_dvc_does_not_see_unfinished_files(tmp_path):
    patterns = (Path(__file__).parents[1] / ".dvcignore").read_text().split()
    assert f"*{PARTIAL}" in patterns


def test_json_comes_back_and_keeps_its_order_of_keys(tmp_path):
    write_json(tmp_path / "v.json", {"b": [1, None], "a": "ü"})
    text = (tmp_path / "v.json").read_text()
    assert list(json.loads(text)) == ["a", "b"]
    assert text.endswith("}\n")
    assert read_json(tmp_path / "v.json") == {"b": [1, None], "a": "ü"}


def test_json_that_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(DataError, match=r"v\.json: missing; run `dvc repro`"):
        read_json(tmp_path / "v.json")
    for damaged in (b"{", b"\xff\xfe\xfa"):
        (tmp_path / "v.json").write_bytes(damaged)
        with pytest.raises(DataError, match=r"v\.json: not JSON .* delete it"):
            read_json(tmp_path / "v.json")


def test_a_digest_changes_with_content_name_and_place(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    (a / "deep").mkdir(parents=True)
    b.mkdir()
    (a / "x").write_text("1")
    (a / "deep" / "y").write_text("2")
    seen = [content_digest(a, b)]
    (a / "x").write_text("3")
    seen.append(content_digest(a, b))
    (a / "x").rename(a / "z")
    seen.append(content_digest(a, b))
    (a / "z").rename(b / "z")
    seen += [content_digest(a, b), content_digest(b, a), content_digest(a)]
    assert len(set(seen)) == len(seen)
    assert content_digest(a, b) == seen[3]


def test_a_digest_does_not_depend_on_where_things_are(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("1")
    assert content_digest(tmp_path / "one") == content_digest(tmp_path / "two")
    assert content_digest(tmp_path / "one" / "x") == content_digest(tmp_path / "two" / "x")


def test_a_digest_of_something_missing_names_it(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: missing; run `dvc repro`"):
        content_digest(tmp_path / "nowhere")
