"""What holds for every layout."""

import os
import socket
import subprocess
from collections import Counter
from contextlib import chdir
from pathlib import Path

import pytest
from miniatures import MINIATURES, visa, visa_product
from raw_items import LIMITS, reasons, rejects, samples

from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.layouts import LAYOUTS, layout
from pipeline_tasks.layouts.raw import RawSample
from pipeline_tasks.layouts.reasons import REMEDY, Reason

PRODUCT = {"visa": "candle", "listing": "bolt"}
OTHER_PRODUCT = {"visa": "fryum", "listing": "nut"}


@pytest.fixture(params=MINIATURES)
def miniature(request, product_folder):
    """The name of a layout; `product_folder` holds it in miniature."""
    MINIATURES[request.param](product_folder)
    return request.param


def test_layouts_are_found_by_name():
    assert all(layout(name) is LAYOUTS[name] for name in MINIATURES)
    assert set(LAYOUTS) == set(MINIATURES)
    with pytest.raises(ConfigError, match=r"layout 'coco' is unknown; known: visa, .*; correct catalog.yaml or --lay"):
        layout("coco")


def test_every_reason_has_a_remedy():
    assert set(REMEDY) == set(Reason)


def test_a_layout_is_known_as_itself_and_as_no_other(miniature, product_folder):
    assert [name for name, each in LAYOUTS.items() if each.matches(product_folder.root)] == [miniature]


def test_no_layout_is_seen_where_there_is_none(tmp_path):
    (tmp_path / "sub").mkdir()
    assert not [name for name, each in LAYOUTS.items() if each.matches(tmp_path) or each.matches(tmp_path / "none")]


def test_every_defect_of_the_survey_has_samples(miniature, product_folder):
    survey = LAYOUTS[miniature].survey(product_folder.root)
    assert list(survey) == [PRODUCT.get(miniature, "plate"), *filter(None, [OTHER_PRODUCT.get(miniature)])]
    for product, found in survey.items():
        read = [defect for _, defect, _, _ in samples(miniature, product_folder.root, product)]
        assert [*dict.fromkeys(read)] == [*found.defects, *(["good"] if "good" in read else [])]
        assert LAYOUTS[miniature].defects(product_folder.root, product) == found.defects
        assert found.defects
        assert not found.notes


def accounted(layout_name, folder):
    """Return how often each file is a sample, a mask or a reject, over all products."""
    count = Counter()
    for product in LAYOUTS[layout_name].survey(folder):
        for item in LAYOUTS[layout_name].read(folder, product, LIMITS):
            count[item.source_path] += 1
            if isinstance(item, RawSample) and item.mask:
                count[item.mask.relative_to(folder).as_posix()] += 1
    return count


def test_each_file_is_accounted_for_once(miniature, product_folder):
    root = product_folder.root
    strays = {f"{folder.relative_to(root)}/x{s}" for folder in root.rglob("*") if folder.is_dir() for s in (".png", "")}
    strays |= {"x", "x.png", "x.webp", "x.zip", "deep/er/x.png", "deep/x.txt"}
    for name in strays:
        product_folder.file(name, name.encode())
    expected = {f.relative_to(root).as_posix() for f in root.rglob("*") if f.is_file()}
    expected -= {name for name in expected if name.endswith(".csv")}
    assert accounted(miniature, root) == dict.fromkeys(expected, 1)


def make_strange(folder, outside):
    """Put into `folder` what must not be opened or followed; return the reason for each."""
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server, chdir(folder):  # a socket's path must be short
        server.bind("socket.png")
    links = {"secret.png": outside / "secret.png", "album": outside, "gone.png": folder / "nothing.png"}
    links |= {"self.png": folder / "self.png", "up": folder, "sub/up": folder / "sub"}
    (folder / "sub").mkdir()
    for name, target in links.items():
        (folder / name).symlink_to(target)
    return {
        "pipe.png": Reason.NOT_AN_IMAGE,
        "socket.png": Reason.NOT_AN_IMAGE,
        "secret.png": Reason.OUTSIDE,
        "album": Reason.OUTSIDE,
        "gone.png": Reason.MISSING,
        "self.png": Reason.OUTSIDE,
        "up": Reason.DUPLICATE,
        "sub/up": Reason.DUPLICATE,
    }


def test_special_files_and_links_that_lead_astray_are_set_aside_everywhere(miniature, product_folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"secret")
    product = PRODUCT.get(miniature, "plate")
    before = reasons(miniature, product_folder.root, product)
    expected = {}
    for folder in [product_folder.root, *(f for f in product_folder.root.rglob("*") if f.is_dir())]:
        below = folder.relative_to(product_folder.root)
        expected |= {(below / name).as_posix(): why for name, why in make_strange(folder, outside).items()}
    assert reasons(miniature, product_folder.root, product) == before | expected


def test_an_unreadable_folder_is_set_aside(miniature, product_folder, monkeypatch):
    locked, scandir = product_folder.root / "locked", os.scandir
    locked.mkdir()

    def refuse(path):
        """Read any folder but one."""
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = rejects(miniature, product_folder.root, PRODUCT.get(miniature, "plate"))
    assert found["locked"] == (Reason.NOT_AN_IMAGE, "a folder that cannot be read: Permission denied")


def test_folders_nested_more_deeply_than_the_stack_are_read(product_folder):
    MINIATURES["deepcrack"](product_folder)
    with chdir(product_folder.root):
        for _ in range(1500):
            os.mkdir("d")  # noqa: PTH102 - relative: the path from the top is too long
            os.chdir("d")
        Path("x.png").touch()
    try:
        assert Reason.MISPLACED in reasons("deepcrack", product_folder.root).values()
    finally:
        subprocess.run(["rm", "-r", product_folder.root / "d"], check=True)  # Python's own rmtree is recursive


def test_links_within_the_folder_are_followed(product_folder):
    MINIATURES["deepcrack"](product_folder)
    root = product_folder.root
    (root / "train_img/link.jpg").symlink_to(root / "train_img/1.jpg")
    (root / "train_lab").rename(root / "labels")
    (root / "train_lab").symlink_to(root / "labels")
    assert samples("deepcrack", root)[0] == ("train_img/1.jpg", "crack", False, "train_lab/1.png")
    assert reasons("deepcrack", root) == {"train_img/link.jpg": Reason.NO_MASK, "labels/1.png": Reason.MISPLACED}


def test_a_maze_of_links_ends(product_folder):
    root = product_folder.root
    for level in range(12):
        (root / f"level{level}").mkdir(parents=True)
        for name in ("left", "right"):
            (root / f"level{level}" / name).symlink_to(root / f"level{(level + 1) % 12}")
    assert set(reasons("plain", root).values()) == {Reason.DUPLICATE}


def test_the_folder_itself_may_be_a_link(miniature, product_folder, tmp_path):
    (tmp_path / "link").symlink_to(product_folder.root)
    product = PRODUCT.get(miniature, "plate")
    assert samples(miniature, tmp_path / "link", product) == samples(miniature, product_folder.root, product)


def test_a_file_name_that_is_no_text_still_gets_a_row(miniature, product_folder):
    (product_folder.root / os.fsdecode(b"\xff.png")).touch()
    found = reasons(miniature, product_folder.root, PRODUCT.get(miniature, "plate"))
    assert [path for path in found if "xff" in path] == [r"\xff.png"]


def test_documents_in_the_top_folder_and_hidden_files_are_passed_over(miniature, product_folder):
    product = PRODUCT.get(miniature, "plate")
    before = rejects(miniature, product_folder.root, product)
    documents = ("license.txt", "LICENSE", "SHA256SUMS", "sample.json", "Paper.v1.PDF", "table.csv", "a.docx")
    for name in (*documents, ".DS_Store", ".git/x.png"):
        product_folder.file(name, b"x")
    assert rejects(miniature, product_folder.root, product) == before


def test_what_may_hide_images_is_set_aside_in_the_top_folder_too(miniature, product_folder):
    product = PRODUCT.get(miniature, "plate")
    before = rejects(miniature, product_folder.root, product)
    expected = {
        "x.webp": (Reason.NOT_AN_IMAGE, "a .webp file; PNG, JPEG, BMP and TIFF are read"),
        "x.GIF": (Reason.NOT_AN_IMAGE, "a .gif file; PNG, JPEG, BMP and TIFF are read"),
        "x.zip": (Reason.NOT_AN_IMAGE, ""),
        "x.jpg.html": (Reason.NOT_AN_IMAGE, ""),
        "x": (Reason.NOT_AN_IMAGE, ""),
    }
    for name in expected:
        product_folder.file(name, b"x")
    assert rejects(miniature, product_folder.root, product) == before | expected


def test_pictures_that_are_not_read_are_told_wherever_they_are(product_folder):
    MINIATURES["mvtec"](product_folder)
    product_folder.file("test/pit/x.heic", b"x")
    assert rejects("mvtec", product_folder.root) == {
        "test/pit/x.heic": (Reason.NOT_AN_IMAGE, "a .heic file; PNG, JPEG, BMP and TIFF are read")
    }


def test_a_single_product_may_be_called_anything(product_folder):
    MINIATURES["mvtec"](product_folder)
    assert samples("mvtec", product_folder.root, "renamed") == samples("mvtec", product_folder.root)


def test_of_several_products_the_first_with_a_defect_accounts_for_the_rest(product_folder):
    visa(product_folder)
    visa_product(product_folder, "apple")
    lines = (product_folder.root / "split_csv/1cls.csv").read_text()
    lines += "\napple,train,normal,apple/Data/Images/Normal/0000.JPG,"
    product_folder.file("split_csv/1cls.csv", lines.encode())
    assert "apple/Data/Images/Normal/0001.JPG" in reasons("visa", product_folder.root, "candle")
    assert not reasons("visa", product_folder.root, "apple")
    assert not reasons("visa", product_folder.root, "fryum")
    with pytest.raises(DataError, match=r"plate: holds no product 'pear', but apple, candle, fryum; run `defectline c"):
        samples("visa", product_folder.root, "pear")
