import pytest
import raw_items
from raw_items import LIMITS

from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts import LAYOUTS
from pipeline_tasks.layouts.raw import RawSample
from pipeline_tasks.layouts.reasons import Reason

MVTEC = LAYOUTS["mvtec"]


def samples(product):
    return [item for item in MVTEC.read(product.root, "plate", LIMITS) if isinstance(item, RawSample)]


def reasons(product):
    return raw_items.reasons("mvtec", product.root)


def test_a_product_is_known_by_its_folders(product_folder):
    assert not MVTEC.matches(product_folder.root)
    product_folder.image("test/pit/000.png")
    assert not MVTEC.matches(product_folder.root)
    product_folder.defect("pit", 1)
    assert MVTEC.matches(product_folder.root)


def test_normal_images_to_learn_from_are_a_product(product_folder):
    product_folder.file("train/good/notes.txt", b"text")
    assert not MVTEC.matches(product_folder.root)
    product_folder.good(1)
    assert MVTEC.matches(product_folder.root)
    assert MVTEC.defects(product_folder.root, "plate") == []


def test_defects_are_those_with_images_and_masks(product_folder):
    product_folder.good(1).defect("scratch", 1).defect("deep pit", 2)
    product_folder.image("test/stain/000.png")
    product_folder.file("test/text/note.txt", b"text")
    product_folder.mask("ground_truth/text/000_mask.png")
    assert MVTEC.defects(product_folder.root, "plate") == ["deep_pit", "scratch"]
    assert MVTEC.survey(product_folder.root)["plate"].notes == [
        f"defect '{name}' is left out: no image of it has a mask" for name in ("stain", "text")
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
    assert not reasons(product_folder)


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


def test_a_second_mask_is_rejected(product_folder):
    product_folder.defect("pit", 1).mask("ground_truth/pit/000.png")
    assert raw_items.rejects("mvtec", product_folder.root) == {
        "ground_truth/pit/000_mask.png": (Reason.SECOND_MASK, "ground_truth/pit/000.png is one already")
    }
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
        "test/album": Reason.OUTSIDE,
        "train/album": Reason.OUTSIDE,
    }
    assert {item.source_path for item in samples(product_folder)} == {"test/pit/001.png", "train/good/000.png"}


@pytest.mark.parametrize("pair", [("a b", "a_b"), ("good ", "good")])
def test_two_folders_of_one_name_are_refused(product_folder, pair):
    for name in pair:
        product_folder.image(f"test/{name}/000.png")
    with pytest.raises(DataError, match=r"its name reads '.*', which is another folder's; rename it"):
        MVTEC.defects(product_folder.root, "plate")
