import os
from collections import Counter
from pathlib import Path

import pytest

from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts import mvtec
from pipeline_tasks.layouts.raw import RawReject, RawSample
from pipeline_tasks.layouts.reasons import Reason


def samples(product):
    return [item for item in mvtec.read(product.root) if isinstance(item, RawSample)]


def rejects(product):
    return {item.source_path: item for item in mvtec.read(product.root) if isinstance(item, RawReject)}


def reasons(product):
    return {path: item.reason for path, item in rejects(product).items()}


def test_a_product_is_known_by_its_folders(product_folder):
    assert not mvtec.matches(product_folder.root)
    product_folder.image("test/pit/000.png")
    assert not mvtec.matches(product_folder.root)
    product_folder.defect("pit", 1)
    assert mvtec.matches(product_folder.root)


def test_normal_images_to_learn_from_are_a_product(product_folder):
    product_folder.file("train/good/notes.txt", b"text")
    assert not mvtec.matches(product_folder.root)
    product_folder.good(1)
    assert mvtec.matches(product_folder.root)
    assert mvtec.defects(product_folder.root) == []


def test_defects_are_those_with_images_and_masks(product_folder):
    product_folder.good(1).defect("scratch", 1).defect("deep pit", 2)
    product_folder.image("test/stain/000.png")
    product_folder.file("test/text/note.txt", b"text")
    product_folder.mask("ground_truth/text/000_mask.png")
    assert mvtec.defects(product_folder.root) == ["deep_pit", "scratch"]
    assert mvtec.notes(product_folder.root) == [
        f"defect '{name}' is left out: it needs images in test/{name} and masks in ground_truth/{name}"
        for name in ("stain", "text")
    ]


def test_defects_come_first_in_order_of_name_then_normal_images(product_folder):
    product_folder.good(2).good(1, "test").defect("scratch", 2).defect("pit", 1)
    found = samples(product_folder)
    assert [(item.source_path, item.defect, item.held_out) for item in found] == [
        ("test/pit/000.png", "pit", False),
        ("test/scratch/000.png", "scratch", False),
        ("test/scratch/001.png", "scratch", False),
        ("train/good/000.png", "good", False),
        ("train/good/001.png", "good", False),
        ("test/good/000.png", "good", True),
    ]
    assert [item.mask and item.mask.name for item in found] == ["000_mask.png"] * 2 + ["001_mask.png"] + [None] * 3
    assert not rejects(product_folder)


def test_a_mask_may_have_the_name_of_its_image_and_another_ending(product_folder):
    product_folder.image("test/pit/a.jpg")
    product_folder.mask("ground_truth/pit/a.png")
    product_folder.image("test/pit/b.bmp")
    product_folder.mask("ground_truth/pit/b_mask.png")
    assert [item.mask.name for item in samples(product_folder)] == ["a.png", "b_mask.png"]


def test_what_has_no_counterpart_is_rejected(product_folder):
    product_folder.defect("pit", 1)
    product_folder.image("test/pit/alone.png")
    product_folder.mask("ground_truth/pit/orphan_mask.png")
    product_folder.image("test/stain/000.png")
    assert reasons(product_folder) == {
        "test/pit/alone.png": Reason.NO_MASK,
        "ground_truth/pit/orphan_mask.png": Reason.NO_IMAGE,
        "test/stain/000.png": Reason.NO_MASK,
    }
    assert "add ground_truth/<defect>/<name>_mask.png" in rejects(product_folder)["test/pit/alone.png"].detail


def test_a_second_mask_is_rejected(product_folder):
    product_folder.defect("pit", 1).mask("ground_truth/pit/000.png")
    found = rejects(product_folder)
    assert reasons(product_folder) == {"ground_truth/pit/000_mask.png": Reason.SECOND_MASK}
    assert found["ground_truth/pit/000_mask.png"].detail == "000.png is one already; join the two into one file"
    assert len(samples(product_folder)) == 1


def test_other_files_are_rejected_wherever_they_are(product_folder):
    product_folder.good(1).defect("pit", 1)
    others = {
        "test/pit/notes.txt": Reason.NOT_AN_IMAGE,
        "ground_truth/pit/labels.json": Reason.NOT_AN_IMAGE,
        "train/good/readme": Reason.NOT_AN_IMAGE,
        "test/pit/monday/000.png": Reason.MISPLACED,
        "train/pit/000.png": Reason.MISPLACED,
        "ground_truth/good/000_mask.png": Reason.MISPLACED,
        "test/000.png": Reason.MISPLACED,
        "000.png": Reason.MISPLACED,
        "validation/good/000.png": Reason.MISPLACED,
    }
    for name in others:
        product_folder.file(name, name.encode())
    assert reasons(product_folder) == others
    assert len(samples(product_folder)) == 2


def test_documents_beside_the_images_and_hidden_files_are_passed_over(product_folder):
    product_folder.good(1).defect("pit", 1)
    for name in ("license.txt", "sample.json", "test/pit/.DS_Store", ".git/x.png", "test/.cache/x.png"):
        product_folder.file(name, b"x")
    assert not rejects(product_folder)


def test_links_out_of_the_folder_are_not_followed(product_folder, tmp_path):
    product_folder.good(1).defect("pit", 2)
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "001.png").write_bytes(b"x")
    (product_folder.root / "test/pit/link.png").symlink_to(secret)
    (product_folder.root / "ground_truth/pit/000_mask.png").unlink()
    (product_folder.root / "ground_truth/pit/000_mask.png").symlink_to(secret)
    (product_folder.root / "test/album").symlink_to(tmp_path / "album")
    (product_folder.root / "train/album").symlink_to(tmp_path / "album")
    assert reasons(product_folder) == {
        "test/pit/link.png": Reason.OUTSIDE,
        "ground_truth/pit/000_mask.png": Reason.OUTSIDE,
        "test/pit/000.png": Reason.NO_MASK,
        "test/album/001.png": Reason.OUTSIDE,
        "train/album": Reason.OUTSIDE,
    }
    assert {item.source_path for item in samples(product_folder)} == {"test/pit/001.png", "train/good/000.png"}


def test_links_within_the_folder_are_samples(product_folder):
    product_folder.good(1).defect("pit", 1)
    (product_folder.root / "train/good/link.png").symlink_to(product_folder.root / "train/good/000.png")
    assert "train/good/link.png" in {item.source_path for item in samples(product_folder)}


def test_a_link_to_nothing_is_kept_for_its_row(product_folder):
    product_folder.good(1).defect("pit", 1)
    (product_folder.root / "train/good/gone.png").symlink_to(product_folder.root / "train/good/nothing.png")
    assert "train/good/gone.png" in {item.source_path for item in samples(product_folder)}


def test_the_product_itself_may_be_a_link(product_folder, tmp_path):
    product_folder.good(1).defect("pit", 1)
    (tmp_path / "link").symlink_to(product_folder.root)
    assert [type(item) for item in mvtec.read(tmp_path / "link")] == [RawSample, RawSample]


@pytest.mark.parametrize("pair", [("a b", "a_b"), ("good ", "good")])
def test_two_folders_of_one_name_are_refused(product_folder, pair):
    for name in pair:
        product_folder.image(f"test/{name}/000.png")
    with pytest.raises(DataError, match=r"its name reads '.*', which is another folder's; rename it"):
        mvtec.defects(product_folder.root)


def test_a_file_name_that_is_no_text_still_gets_a_row(product_folder):
    product_folder.good(1).defect("pit", 1)
    Path(os.fsdecode(os.fsencode(product_folder.root / "test/pit") + b"/\xff.txt")).touch()
    assert r"test/pit/\xff.txt" in rejects(product_folder)


def test_no_file_is_yielded_twice(product_folder):
    product_folder.good(3).good(2, "test").defect("pit", 3).defect("scratch", 2)
    product_folder.image("test/pit/deep/x.png")
    assert max(Counter(item.source_path for item in mvtec.read(product_folder.root)).values()) == 1


def test_a_link_to_itself_is_outside(product_folder):
    product_folder.good(1).defect("pit", 1)
    for name in ("train/good/loop.png", "loop.png"):
        (product_folder.root / name).symlink_to(product_folder.root / name)
    assert reasons(product_folder) == {"train/good/loop.png": Reason.OUTSIDE, "loop.png": Reason.OUTSIDE}
