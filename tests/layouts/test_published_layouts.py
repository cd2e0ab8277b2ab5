"""The layouts of published data sets, each in miniature: what is read, and what is set aside."""

import pytest
from miniatures import VISA_HEADER, btad, deepcrack, gdxray, kolektor_sdd2, visa, visa_product
from raw_items import reasons, rejects, samples

from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts import LAYOUTS
from pipeline_tasks.layouts.reasons import Reason


def test_btad(product_folder):
    btad(product_folder)
    assert samples("btad", product_folder.root) == [
        ("test/ko/0000.bmp", "defect", False, "ground_truth/ko/0000.png"),
        ("train/ok/0000.bmp", "good", False, None),
        ("test/ok/0001.bmp", "good", True, None),
    ]
    product_folder.mask("ground_truth/ko/0000.bmp")
    product_folder.mask("ground_truth/ko/0009.png")
    product_folder.image("test/ko/0001.bmp")
    assert rejects("btad", product_folder.root) == {
        "ground_truth/ko/0000.png": (Reason.SECOND_MASK, "ground_truth/ko/0000.bmp is one already"),
        "ground_truth/ko/0009.png": (Reason.NO_IMAGE, ""),
        "test/ko/0001.bmp": (Reason.NO_MASK, ""),
    }


def test_deepcrack_holds_its_test_out(product_folder):
    deepcrack(product_folder)
    product_folder.image("train_img/2.JPG")
    product_folder.mask("train_lab/2.PNG")
    assert samples("deepcrack", product_folder.root) == [
        ("train_img/1.jpg", "crack", False, "train_lab/1.png"),
        ("train_img/2.JPG", "crack", False, "train_lab/2.PNG"),
        ("test_img/1.jpg", "crack", True, "test_lab/1.png"),
    ]


def test_in_kolektor_sdd2_a_black_mask_makes_a_normal_image(product_folder):
    kolektor_sdd2(product_folder)
    assert samples("kolektor_sdd2", product_folder.root) == [
        ("train/10002.png", "defect", False, "train/10002_GT.png"),
        ("test/10002.png", "defect", True, "test/10002_GT.png"),
        ("train/10001.png", "good", False, "train/10001_GT.png"),
        ("test/10001.png", "good", True, "test/10001_GT.png"),
    ]
    assert reasons("kolektor_sdd2", product_folder.root) == {"split_weakly.pyb": Reason.NOT_AN_IMAGE}


def test_a_mask_that_cannot_be_read_is_a_defects(product_folder):
    kolektor_sdd2(product_folder)
    product_folder.file("train/10001_GT.png", b"damaged")
    assert samples("kolektor_sdd2", product_folder.root)[0][:2] == ("train/10001.png", "defect")


def test_in_kolektor_sdd2_what_has_no_counterpart_is_set_aside(product_folder):
    kolektor_sdd2(product_folder)
    product_folder.image("train/10003.png")
    product_folder.mask("test/10009_GT.png")
    assert reasons("kolektor_sdd2", product_folder.root) == {
        "train/10003.png": Reason.NO_MASK,
        "test/10009_GT.png": Reason.NO_IMAGE,
        "split_weakly.pyb": Reason.NOT_AN_IMAGE,
    }


def test_gdxray_pairs_two_series_by_number(product_folder):
    gdxray(product_folder)
    product_folder.image("W0001/W0001_0003.png")
    product_folder.mask("W0002/W0002_0004.png")
    product_folder.file("W0001/Readme.txt", b"text")
    assert samples("gdxray", product_folder.root) == [
        ("W0001/W0001_0001.png", "defect", False, "W0002/W0002_0001.png"),
        ("W0001/W0001_0002.png", "defect", False, "W0002/W0002_0002.png"),
    ]
    assert rejects("gdxray", product_folder.root) == {
        "W0001/W0001_0003.png": (Reason.NO_MASK, ""),
        "W0002/W0002_0004.png": (Reason.NO_IMAGE, ""),
        "W0003/W0003_0001.png": (Reason.NO_MASK, "series W0003 has no masks"),
        "W0001/Readme.txt": (Reason.NOT_AN_IMAGE, ""),
    }


def test_gdxray_in_small_letters(product_folder):
    product_folder.image("w0001/w0001_0001.png")
    product_folder.mask("w0002/w0002_0001.png")
    assert LAYOUTS["gdxray"].matches(product_folder.root)
    assert samples("gdxray", product_folder.root) == [("w0001/w0001_0001.png", "defect", False, "w0002/w0002_0001.png")]


def test_visa_on_one_class_holds_no_defect_out(product_folder):
    visa(product_folder)
    for name in ("candle", "fryum"):
        assert samples("visa", product_folder.root, name) == [
            (f"{name}/Data/Images/Anomaly/000.JPG", "defect", False, f"{name}/Data/Masks/Anomaly/000.png"),
            (f"{name}/Data/Images/Anomaly/001.JPG", "defect", False, f"{name}/Data/Masks/Anomaly/001.png"),
            (f"{name}/Data/Images/Normal/0000.JPG", "good", False, None),
            (f"{name}/Data/Images/Normal/0001.JPG", "good", True, None),
        ]
        assert not rejects("visa", product_folder.root, name)


def test_visa_on_two_classes_holds_its_test_out(product_folder):
    visa_product(product_folder, "candle")
    images, masks = "candle/Data/Images", "candle/Data/Masks"
    lines = [
        f"candle,train,anomaly,{images}/Anomaly/000.JPG,{masks}/Anomaly/000.png",
        f"candle,test,anomaly,{images}/Anomaly/001.JPG,{masks}/Anomaly/001.png",
        f"candle,test,normal,{images}/Normal/0000.JPG,",
    ]
    product_folder.file("split_csv/2cls_fewshot.csv", (VISA_HEADER + "\r\n".join(lines)).encode())
    assert [(path[-7:], held_out) for path, _, held_out, _ in samples("visa", product_folder.root, "candle")] == [
        ("000.JPG", False),
        ("001.JPG", True),
        ("000.JPG", True),
    ]
    assert rejects("visa", product_folder.root, "candle") == {
        "candle/Data/Images/Normal/0001.JPG": (Reason.MISPLACED, "no line of the table names it")
    }


def test_in_visa_missing_files_are_told_by_their_line(product_folder):
    visa(product_folder)
    (product_folder.root / "candle/Data/Images/Normal/0001.JPG").unlink()
    (product_folder.root / "candle/Data/Masks/Anomaly/001.png").unlink()
    assert rejects("visa", product_folder.root, "candle") == {
        "candle/Data/Images/Normal/0001.JPG": (Reason.MISSING, "line 3"),
        "candle/Data/Images/Anomaly/001.JPG": (Reason.MISSING, "line 5: its mask candle/Data/Masks/Anomaly/001.png"),
    }


def test_a_product_of_visa_alone(product_folder):
    visa_product(product_folder, "")
    assert LAYOUTS["visa"].matches(product_folder.root)
    product_folder.image("Data/Images/Anomaly/002.JPG")
    assert [item[0] for item in samples("visa", product_folder.root)] == [
        "Data/Images/Anomaly/000.JPG",
        "Data/Images/Anomaly/001.JPG",
        "Data/Images/Normal/0000.JPG",
        "Data/Images/Normal/0001.JPG",
    ]
    assert reasons("visa", product_folder.root) == {"Data/Images/Anomaly/002.JPG": Reason.NO_MASK}


def test_a_list_of_visa_without_its_columns_is_refused(product_folder):
    visa(product_folder)
    product_folder.file("split_csv/1cls.csv", b"object,image,mask\ncandle,x,y\n")
    with pytest.raises(DataError, match=r"1cls\.csv: lacks the columns label, split; download it again"):
        LAYOUTS["visa"].survey(product_folder.root)
