import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import yaml

from pipeline_tasks.commands.ingest import SHOWN
from pipeline_tasks.schema import Sample, SetAside
from pipeline_tasks.splits.membership import read_members, write_members
from pipeline_tasks.stages import ingest as stage
from pipeline_tasks.storage import read_rows


@pytest.fixture
def ingest(defectline, product_folder):
    def run(product="plate", raw=product_folder.root, layout="mvtec"):
        out = (
            "--base",
            "out/base",
            "--test",
            "out/test",
            "--set-aside",
            "out/set_aside.parquet",
            "--split",
            "splits/plate.csv",
        )
        return defectline("ingest", "--product", product, "--raw", raw, "--layout", layout, *out)

    return run


def tables(folder):
    return {path.stem: list(read_rows(path, Sample)) for path in sorted(Path(folder).iterdir())}


def set_aside():
    return list(read_rows(Path("out/set_aside.parquet"), SetAside))


def test_each_defect_gets_a_table_in_each_split(ingest, product_folder):
    product_folder.good(2).good(1, "test").defect("pit", 6).defect("scratch", 1)
    ran = ingest()
    assert ran.status == 0
    base, test = tables("out/base"), tables("out/test")
    assert {name: len(rows) for name, rows in base.items()} == {"good": 2, "pit": 2, "scratch": 1}
    assert {name: len(rows) for name, rows in test.items()} == {"good": 1, "pit": 4, "scratch": 0}
    for split, found in (("base", base), ("test", test)):
        assert all(row.split == split and row.defect == name for name, rows in found.items() for row in rows)
    assert set_aside() == []
    assert ran.out.splitlines() == [
        "warning: plate: 'scratch' has no test sample: nothing is measured on it",
        "plate: pit base 2, pit test 4, scratch base 1, good base 2, good test 1",
        "plate: 17 files = 10 samples + 7 masks + 0 set aside",
    ]
    sides = {member.source_path: member.split for member in read_members(Path("splits/plate.csv"))}
    assert sides == {
        row.source_path: split for split, t in (("base", base), ("test", test)) for rows in t.values() for row in rows
    }


def test_the_stored_split_is_read_again_and_a_hand_written_side_is_honoured(ingest, product_folder):
    product_folder.good(1).defect("pit", 6)
    ingest()
    split = Path("splits/plate.csv")
    stored = split.read_bytes()
    ingest()
    assert split.read_bytes() == stored
    moved = [replace(m, split="test") if m.source_path == "test/pit/000.png" else m for m in read_members(split)]
    write_members(split, moved)
    product_folder.defect("pit", 7)
    assert ingest().status == 0
    assert [row.source_path for row in tables("out/base")["pit"]] == ["test/pit/001.png", "test/pit/006.png"]


def test_a_damaged_split_is_named_before_anything_is_written(ingest, product_folder):
    product_folder.good(1).defect("pit", 2).file("../splits/plate.csv", b"source_path\n")
    ran = ingest()
    assert ran.status == 1 and "error: splits/plate.csv, line 1: expected the columns" in ran.err
    assert not Path("out").exists()


def test_a_withdrawn_sample_is_set_aside_and_ingest_again_changes_nothing(ingest, product_folder):
    product_folder.good(1).defect("pit", 6)
    ingest()
    split, said = Path("splits/plate.csv"), "2030-01-02 Ann <ann@example.org>: blurred"
    members = [replace(m, withdrawn=said) if m.source_path == "test/pit/000.png" else m for m in read_members(split)]
    write_members(split, members)
    test_before = {path.name: path.read_bytes() for path in Path("out/test").iterdir()}
    ran = ingest()
    assert ran.status == 0
    remedy = "nothing; `defectline withdraw PRODUCT SAMPLE --undo` puts it back"
    assert f"set aside: test/pit/000.png: withdrawn: {said}; {remedy}\n" in ran.out
    assert [row.source_path for row in tables("out/base")["pit"]] == ["test/pit/001.png"]
    assert {path.name: path.read_bytes() for path in Path("out/test").iterdir()} == test_before
    assert ran.out.splitlines()[-1] == "plate: 13 files = 6 samples + 6 masks + 1 set aside"
    stored = split.read_bytes()
    assert ingest().status == 0 and split.read_bytes() == stored
    root = product_folder.root
    (root / "test/pit/000.png").rename(root / "test/pit/900.png")
    (root / "ground_truth/pit/000_mask.png").rename(root / "ground_truth/pit/900_mask.png")
    assert ingest().status == 0
    assert [(row.source_path, row.reason) for row in set_aside()] == [("test/pit/900.png", "withdrawn")]


def test_a_split_that_is_edited_while_ingest_runs_is_not_overwritten(ingest, product_folder, monkeypatch):
    product_folder.good(1).defect("pit", 3)
    ingest()
    split = Path("splits/plate.csv")
    divide = stage.divide

    def divide_and_withdraw(*arguments):
        divided = divide(*arguments)
        write_members(split, [replace(member, withdrawn="why") for member in read_members(split)])
        return divided

    monkeypatch.setattr(stage, "divide", divide_and_withdraw)
    ran = ingest()
    assert ran.status == 75
    assert ran.err.endswith("error: splits/plate.csv: changed while product 'plate' was read; run ingest again\n")
    assert all(member.withdrawn == "why" for member in read_members(split))


def test_shots_of_one_part_and_what_they_change_are_told(ingest, product_folder):
    product_folder.good(12).defect("pit", 6)
    for number in (0, 5):
        shot = cv2.imread(str(product_folder.root / "test/pit/003.png"))
        cv2.imwrite(str(product_folder.root / f"test/pit/00{number}.png"), shot - number - 1)
    out = ingest().out
    assert "plate: 3 images are near-duplicates, in groups that stay on one side: 1, of which a split by name" in out
    assert [row.source_path for row in tables("out/base")["pit"]] == ["test/pit/001.png", "test/pit/002.png"]


def test_a_product_with_normal_images_only_is_read_if_it_is_a_zero_shot_target(ingest, product_folder):
    product_folder.good(2).image("test/pit/000.png")
    assert "no usable defect image" in ingest().err
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["zero_shot"] = [{"source": "tile", "defect": "pit", "product": "plate"}]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert ingest().status == 0
    base, test = tables("out/base"), tables("out/test")
    assert ({name: len(rows) for name, rows in base.items()}, test) == ({"good": 2}, {"good": []})
    assert [row.source_path for row in set_aside()] == ["test/pit/000.png"]


def test_a_target_without_a_normal_image_to_learn_from_is_refused(ingest, product_folder):
    product_folder.good(1, "test")
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["zero_shot"] = [{"source": "tile", "defect": "pit", "product": "plate"}]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert "product 'plate': no usable normal image to learn from, set aside: no file at all" in ingest().err


def test_bad_files_are_listed_and_do_not_stop_the_others(ingest, product_folder):
    product_folder.good(1).defect("pit", 3).file("test/pit/000.png", b"a text file")
    product_folder.mask("ground_truth/pit/001_mask.png", (9, 9))
    ran = ingest()
    assert ran.status == 0
    assert [row.source_path for row in tables("out/base")["pit"]] == ["test/pit/002.png"]
    assert [row.source_path for row in set_aside()] == ["test/pit/000.png", "test/pit/001.png"]
    reason = "unreadable image: the content is no PNG, JPEG, BMP or TIFF; export the image again"
    assert f"set aside: test/pit/000.png: {reason}\n" in ran.out
    assert "set aside: test/pit/001.png: mask of another size: image 32 x 24 px, mask 9 x 9 px; draw" in ran.out
    assert ran.out.splitlines()[-1] == "plate: 7 files = 2 samples + 3 masks + 2 set aside"


def test_a_long_list_is_cut_short_and_says_where_the_rest_is(ingest, product_folder):
    product_folder.good(1).defect("pit", 1)
    for index in range(SHOWN + 3):
        product_folder.file(f"test/pit/{index:03d}.txt", b"text")
    lines = [line for line in ingest().out.splitlines() if line.startswith("set aside:")]
    assert len(lines) == SHOWN + 1
    assert lines[-1] == "set aside: 3 more, see out/set_aside.parquet"
    assert len(set_aside()) == SHOWN + 3


def test_the_same_folder_gives_the_same_bytes(ingest, product_folder):
    product_folder.defect("pit", 4).file("test/pit/bad.png", b"text")
    digests = []
    for _ in range(2):
        assert ingest().status == 0
        files = sorted(path for path in Path("out").rglob("*") if path.is_file())
        digests.append([(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 5


def test_a_missing_folder_is_named_with_what_to_do(ingest):
    ran = ingest(raw="nowhere")
    assert (ran.status, ran.err) == (
        1,
        "error: nowhere: no such folder; correct product 'plate' with `defectline catalog FOLDER`\n",
    )
    assert not Path("out").exists()


def test_an_empty_folder_leaves_nothing_but_the_reason(ingest, product_folder):
    product_folder.root.mkdir()
    ran = ingest()
    assert ran.status == 1
    assert ran.err.endswith(
        "error: product 'plate': no usable defect image, set aside: no file at all; see the set-aside table\n"
    )
    assert [path.name for path in Path("out").iterdir()] == ["set_aside.parquet"]


def test_when_nothing_is_left_the_reasons_are_kept_and_old_samples_stay(ingest, product_folder):
    product_folder.good(1).defect("pit", 2)
    assert ingest().status == 0
    for index in range(2):
        (product_folder.root / f"ground_truth/pit/00{index}_mask.png").unlink()
    ran = ingest()
    assert ran.status == 1
    assert "no usable defect image, set aside: 2 x no mask; see the set-aside table" in ran.err
    assert "set aside: test/pit/001.png: no mask: add a mask of the image where the layout has it" in ran.out
    assert [row.reason for row in set_aside()] == ["no mask", "no mask"]
    assert len(tables("out/base")["pit"]) == 1
    assert sorted(path.name for path in Path("out").iterdir()) == ["base", "set_aside.parquet", "test"]


@pytest.mark.parametrize("product", ["../x", "a/b", "", "-x", "a b"])
def test_a_product_name_that_leads_elsewhere_is_refused_before_any_path_is_made(ingest, product_folder, product):
    product_folder.good(1).defect("pit", 1)
    ran = ingest(product)
    assert ran.status == 1
    assert ran.err == (
        f"error: --product: '{product}' is no name: use 1 to 64 letters (a-z, A-Z), digits and underscores\n"
    )
    assert not Path("out").exists()


def test_an_unknown_layout_is_named(ingest):
    ran = ingest(layout="coco")
    assert ran.status == 1 and "error: layout 'coco' is unknown; known: " in ran.err


def test_wrong_parameters_are_named_before_anything_is_read(ingest, product_folder):
    product_folder.good(1).defect("pit", 1)
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("  draw: 0", "  drawing: 0"))
    ran = ingest()
    assert ran.status == 1
    assert "error: params.yaml: ingest.draw: missing, add it" in ran.err
    assert "ingest.drawing: unknown key, correct or remove it" in ran.err
    params.unlink()
    assert ingest().err == "error: params.yaml: missing; run defectline in the folder that holds params.yaml\n"
    assert not Path("out").exists()
