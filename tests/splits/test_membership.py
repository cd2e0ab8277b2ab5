from dataclasses import replace

import pytest
from rows import digest

from pipeline_tasks.errors import DataError
from pipeline_tasks.splits.membership import (
    COLUMNS,
    COLUMNS_BEFORE,
    Member,
    near_duplicates,
    read_members,
    write_members,
)


def member(number, split="test", group="", defect="pit", held_out=False, protocol="few-shot-10", present=True):
    path = f"test/{defect}/{number:03d}.png"
    return Member(path, digest(path), defect, held_out, split, group, present, protocol)


MEMBERS = [member(0, "base"), member(1), member(0, "base", defect="good"), member(2, held_out=True, present=False)]


def test_what_is_written_is_read_in_one_order(tmp_path):
    path = tmp_path / "splits" / "plate.csv"
    write_members(path, MEMBERS)
    first = path.read_bytes()
    write_members(path, read_members(path)[::-1])
    assert path.read_bytes() == first
    assert {*read_members(path)} == {*MEMBERS}
    assert [line.split(",")[0] for line in first.decode().splitlines()] == [
        '"source_path"',
        '"test/good/000.png"',
        '"test/pit/000.png"',
        '"test/pit/001.png"',
        '"test/pit/002.png"',
    ]


@pytest.mark.parametrize("name", ["a,b.png", 'a "b".png', "a\nb.png", "a\rb.png", "ä b.png", "=1+1.png", ""])
def test_any_name_survives(tmp_path, name):
    odd = replace(member(0), source_path=name)
    write_members(tmp_path / "plate.csv", [odd, member(1)])
    assert odd in read_members(tmp_path / "plate.csv")


def test_a_table_that_a_spreadsheet_wrote_is_read(tmp_path):
    path = tmp_path / "plate.csv"
    write_members(path, MEMBERS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b'"', b"").replace(b"\n", b"\r\n"))
    assert {*read_members(path)} == {*MEMBERS}


@pytest.mark.parametrize(
    ("line", "old", "new", "complaint"),
    [
        (1, "sha256", "hash", "expected the columns source_path,sha256"),
        (2, ',"base"', ',"train"', "split 'train' is neither base nor test"),
        (3, ',"no"', ',"maybe"', "held_out 'maybe' is neither yes nor no"),
        (5, ',"no","few', ',"gone","few', "present 'gone' is neither yes nor no"),
        (1, ',"withdrawn"', "", "9 columns instead of 8"),
        (1, '"withdrawn"', '"taken"', "expected the columns source_path,sha256"),
        (3, '"few-shot-10"', '"half"', "'half' is no protocol"),
        (3, '"few-shot-10"', '"three-shot draw 0"', "protocol 'three-shot draw 0', in the lines before 'few-shot-10'"),
        (4, ',"pit"', "", "8 columns instead of 9"),
        (4, digest("test/pit/001.png"), digest("test/pit/000.png"), "'test/pit/001.png' is in line 3 already"),
        (5, digest("test/pit/002.png"), "f00", "sha256 'f00' is no digest"),
        (3, '"test/pit/000.png"', "<<<<<<< HEAD\n", "1 columns instead of 9"),
        (3, '"pit"', '"pit', ""),
    ],
)
def test_a_damaged_table_is_named_with_the_line(tmp_path, line, old, new, complaint):
    path = tmp_path / "plate.csv"
    write_members(path, MEMBERS)
    lines = path.read_text().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("".join(lines))
    with pytest.raises(DataError) as caught:
        read_members(path)
    told, place = str(caught.value), {"9 columns instead of 8": 2}.get(complaint, line)
    assert f"{path}, line {place if complaint else ''}" in told
    assert complaint in told and "delete the file to split anew and to forget what was withdrawn" in told


def test_a_table_from_before_samples_could_be_withdrawn_is_read_as_one_with_none(tmp_path):
    path = tmp_path / "plate.csv"
    write_members(path, MEMBERS)
    lines = path.read_text().splitlines()
    assert COLUMNS[-1] == "withdrawn" and all(line.endswith((',"withdrawn"', ',""')) for line in lines)
    path.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    assert path.read_text().startswith(",".join(f'"{name}"' for name in COLUMNS_BEFORE) + "\n")
    assert {*read_members(path)} == {*MEMBERS}


@pytest.mark.parametrize("said", ["2030-01-02 Ann <a@b.c>: bad light", 'a, "b"\nc', "=1+1"])
def test_who_withdrew_a_sample_and_why_is_kept(tmp_path, said):
    withdrawn = replace(member(7), withdrawn=said)
    write_members(tmp_path / "plate.csv", [member(0), withdrawn])
    assert withdrawn in read_members(tmp_path / "plate.csv")


def test_an_empty_file_bytes_that_are_no_text_and_no_file_are_named(tmp_path):
    path = tmp_path / "plate.csv"
    for content, complaint in ((b"", "line 1: the file is empty"), (b"\xff\xfe\x00", "not a text in UTF-8")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=complaint):
            read_members(path)
    path.unlink()
    with pytest.raises(DataError, match=r"plate\.csv: missing"):
        read_members(path)


def test_groups_that_a_split_by_name_would_cut_are_counted():
    lowest, alike = "test/pit/000.png", "test/pit/004.png"
    rows = [member(number, "test") for number in range(9)]  # by name, three of nine are base
    rows[0], rows[8] = member(0, "test", lowest), member(8, "test", lowest)
    rows[4], rows[5] = member(4, "test", alike), member(5, "test", alike)
    found = near_duplicates([*rows, member(99, group="of its own")])
    assert found.groups == [["test/pit/000.png", "test/pit/008.png"], ["test/pit/004.png", "test/pit/005.png"]]
    assert found.crossing == 1


def test_normal_images_are_where_the_data_set_has_them_by_name_alone():
    good = [member(0, group="g", defect="good"), member(1, group="g", defect="good", held_out=True)]
    assert near_duplicates(good).crossing == 1
    assert near_duplicates([]).groups == []
