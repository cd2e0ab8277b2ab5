import pytest
from miniatures import plain
from raw_items import reasons, rejects, samples

from pipeline_tasks.layouts import LAYOUTS
from pipeline_tasks.layouts.reasons import Reason


def test_two_folders_side_by_side(product_folder):
    plain(product_folder)
    assert samples("plain", product_folder.root) == [
        ("Images/a.jpg", "defect", False, "labels/a.png"),
        ("Images/b.jpg", "defect", False, "labels/b.png"),
        ("Images/c.jpg", "good", False, "labels/c.png"),
        ("good/d.jpg", "good", False, None),
    ]
    product_folder.image("Images/e.jpg")
    product_folder.mask("labels/f_mask.png")
    product_folder.mask("labels/a_mask.png")
    product_folder.file("labels/notes.txt", b"text")
    assert rejects("plain", product_folder.root) == {
        "Images/e.jpg": (Reason.NO_MASK, ""),
        "labels/f_mask.png": (Reason.NO_IMAGE, ""),
        "labels/a_mask.png": (Reason.SECOND_MASK, "labels/a.png is one already"),
        "labels/notes.txt": (Reason.NOT_AN_IMAGE, ""),
    }


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.jpg", "a.png"),
        ("a.JPG", "a.PNG"),
        ("a.png", "a_mask.png"),
        ("a.jpg", "a-GT.jpg"),
        ("a.bmp", "a_label.png"),
        ("a.tif", "a_groundtruth.tif"),
        ("a_label.jpg", "a_label.png"),
    ],
)
def test_one_folder_with_both(product_folder, image, mask):
    product_folder.image(image)
    product_folder.mask(mask)
    product_folder.image("good/x.jpg")
    assert LAYOUTS["plain"].matches(product_folder.root)
    assert samples("plain", product_folder.root) == [
        (image, "defect", False, mask),
        ("good/x.jpg", "good", False, None),
    ]
    assert not rejects("plain", product_folder.root)


def test_what_has_no_counterpart_in_one_folder_is_set_aside(product_folder):
    product_folder.image("a.jpg")
    product_folder.mask("a.png")
    product_folder.image("b.jpg")
    product_folder.image("c.png")
    product_folder.mask("d_mask.png")
    product_folder.file("readme.txt", b"text")
    assert reasons("plain", product_folder.root) == {
        "b.jpg": Reason.NO_MASK,
        "c.png": Reason.NO_MASK,
        "d_mask.png": Reason.NO_IMAGE,
    }


def test_a_folder_test_beside_train_is_held_out(product_folder):
    for split in ("train", "test"):
        product_folder.image(f"{split}/images/a.jpg")
        product_folder.mask(f"{split}/masks/a.png")
        product_folder.image(f"{split}/good/b.jpg")
    assert LAYOUTS["plain"].matches(product_folder.root)
    assert samples("plain", product_folder.root) == [
        ("train/images/a.jpg", "defect", False, "train/masks/a.png"),
        ("test/images/a.jpg", "defect", True, "test/masks/a.png"),
        ("train/good/b.jpg", "good", False, None),
        ("test/good/b.jpg", "good", True, None),
    ]


def test_images_alone_are_no_product(product_folder):
    product_folder.image("images/a.jpg")
    product_folder.image("b.png")
    product_folder.mask("masks/c.png")
    assert not LAYOUTS["plain"].matches(product_folder.root)


def test_of_several_mask_folders_the_first_with_images_counts(product_folder):
    product_folder.image("img/a.jpg")
    product_folder.file("annotations/a.xml", b"<xml/>")
    product_folder.mask("masks/a.png")
    product_folder.mask("segmentation/a.png")
    assert LAYOUTS["plain"].matches(product_folder.root)
    assert samples("plain", product_folder.root) == [("img/a.jpg", "defect", False, "masks/a.png")]
    assert reasons("plain", product_folder.root) == {
        "annotations/a.xml": Reason.NOT_AN_IMAGE,
        "segmentation/a.png": Reason.MISPLACED,
    }
