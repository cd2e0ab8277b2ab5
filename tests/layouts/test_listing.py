import io
import os
from collections import Counter

import pandas as pd
import pytest
from miniatures import LIST_HEADER, listing
from raw_items import LIMITS, rejects, samples

from pipeline_tasks.errors import DataError
from pipeline_tasks.layouts import LAYOUTS
from pipeline_tasks.layouts.raw import RawSample
from pipeline_tasks.layouts.reasons import Reason

BOLT = [
    ("shots/1.jpg", "deep_dent", False, "shots/1.png"),
    ("shots/2.jpg", "good", True, None),
]


def test_products_and_defects_are_named_line_by_line(product_folder):
    listing(product_folder)
    survey = LAYOUTS["listing"].survey(product_folder.root)
    assert {name: found.defects for name, found in survey.items()} == {"bolt": ["deep_dent"], "nut": ["crack"]}
    assert samples("listing", product_folder.root, "bolt") == BOLT
    assert samples("listing", product_folder.root, "nut") == [("shots/3.jpg", "crack", False, "shots/3.png")]
    assert not rejects("listing", product_folder.root, "bolt")


def parquet(frame):
    """Return a table as the bytes of a Parquet file."""
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("list.parquet", parquet),
        ("list.parquet", lambda frame: parquet(frame.astype("category"))),
        ("list.csv", lambda frame: frame.to_csv(index=False, sep=";").encode()),
        ("list.CSV", lambda frame: frame.rename(columns=str.upper).to_csv(index=False, sep="\t").encode("utf-8-sig")),
        ("list.csv", lambda frame: frame.to_csv(index=False, lineterminator="\r\n", quoting=1).encode()),
        ("list.csv", lambda frame: frame.assign(place="Zürich").to_csv(index=False).encode("latin-1")),
    ],
)
def test_kinds_of_tables(product_folder, name, write):
    listing(product_folder)
    frame = pd.read_csv(product_folder.root / "list.csv")
    (product_folder.root / "list.csv").unlink()
    product_folder.file(name, write(frame))
    assert samples("listing", product_folder.root, "bolt") == BOLT
    assert not rejects("listing", product_folder.root, "bolt")


def written(product_folder, *lines, header=LIST_HEADER):
    """Write a list of `lines`, after one of a sound sample."""
    for name in ("ok", "a", "b"):
        product_folder.image(f"{name}.jpg")
        product_folder.mask(f"{name}.png")
    product_folder.file("list.csv", (header + "\n".join(["ok.jpg,ok.png,bolt,dent,", *lines])).encode())
    return rejects("listing", product_folder.root, "bolt")


def accounted(product_folder):
    """Return how often each file but the table is a sample, a mask or a reject, over all products."""
    root, count, masks = product_folder.root, Counter(), set()
    for product in LAYOUTS["listing"].survey(root):
        items = LAYOUTS["listing"].read(root, product, LIMITS)
        count.update(item.source_path for item in items)
        masks |= {item.mask.relative_to(root).as_posix() for item in items if isinstance(item, RawSample) and item.mask}
    count.update(masks)
    return {name: count[name] for name in (f.relative_to(root).as_posix() for f in root.rglob("*.[jp][pn]g"))}


MASK_OF_LINE_3 = (Reason.BAD_ENTRY, "line 3, which is set aside, has it as a mask")
STRAYS = dict.fromkeys(("a.jpg", "a.png", "b.jpg", "b.png"), (Reason.MISPLACED, "no line of the table names it"))


@pytest.mark.parametrize(
    ("line", "path", "reason", "found"),
    [
        (",a.png,bolt,dent,", "list.csv", Reason.BAD_ENTRY, "line 3: no image"),
        ("a.jpg,a.png,,dent,", "a.jpg", Reason.BAD_ENTRY, "line 3: no product"),
        ("a.jpg,a.png,bolt,,", "a.jpg", Reason.BAD_ENTRY, "line 3: no defect"),
        ("a.jpg", "a.jpg", Reason.BAD_ENTRY, "line 3: no product"),
        ("a.jpg,a.png,../..,dent,", "a.jpg", Reason.BAD_ENTRY, "line 3: product '../..' holds no letter or digit"),
        ("a.jpg,a.png,bolt,?!,", "a.jpg", Reason.BAD_ENTRY, "line 3: defect '?!' holds no letter or digit"),
        ("a.jpg,a.png,[bolt],dent,", "a.jpg", Reason.BAD_ENTRY, "'[bolt]' would be called 'bolt', as 'bolt' is"),
        ("a.jpg,a.png,bolt,dent,val", "a.jpg", Reason.BAD_ENTRY, "line 3: split 'val' is neither train nor test"),
        ("a.jpg,a.png,bolt,good,", "a.jpg", Reason.BAD_ENTRY, "'good' means normal, but the mask marks something"),
        ("a.jpg,a.jpg,bolt,dent,", "a.jpg", Reason.BAD_ENTRY, "line 3: the image is its own mask"),
        ("a.jpg,a.png,bolt,dent,,x", "a.jpg", Reason.BAD_ENTRY, "line 3: 6 values for 5 columns"),
        ("a.jpg,a.png,bolt,good!,", "a.jpg", Reason.BAD_ENTRY, "'good!' would be called 'good', which means normal"),
        ("a.jpg,,bolt,(Ok),", "a.jpg", Reason.BAD_ENTRY, "'(Ok)' would be called 'Ok', which means normal images"),
        ("ok.jpg,a.png,bolt,dent,", "list.csv", Reason.BAD_ENTRY, "line 3: line 2 names ok.jpg already"),
        ("ok.png,a.png,bolt,dent,", "list.csv", Reason.BAD_ENTRY, "line 3: line 2 has ok.png as its mask"),
        ("a.jpg,ok.jpg,bolt,dent,", "a.jpg", Reason.BAD_ENTRY, "line 3: its mask is the image of line 2"),
        ("a.jpg,,bolt,dent,", "a.jpg", Reason.NO_MASK, "line 3"),
        ("gone.jpg,a.png,bolt,dent,", "gone.jpg", Reason.MISSING, "line 3"),
        ("a.jpg,gone.png,bolt,dent,", "a.jpg", Reason.MISSING, "line 3: its mask gone.png"),
        ("../b.jpg,a.png,bolt,dent,", "../b.jpg", Reason.OUTSIDE, "line 3"),
        ("a.jpg,/etc/passwd,bolt,dent,", "a.jpg", Reason.OUTSIDE, "line 3: its mask /etc/passwd"),
        ("list.csv,a.png,bolt,dent,", "list.csv", Reason.NOT_AN_IMAGE, "line 3"),
        ("a.jpg,a.png,bolt\0,dent,", "a.jpg", Reason.BAD_ENTRY, "would be called 'bolt', as 'bolt' is"),
        ("a\0.jpg,a.png,bolt,dent,", "a\0.jpg", Reason.MISSING, "line 3"),
    ],
)
def test_a_line_that_cannot_be_used_is_set_aside_by_its_number(product_folder, line, path, reason, found):
    refused = written(product_folder, line)
    assert refused[path][0] == reason
    assert found in refused[path][1]
    named = line.split(",")
    others = {name: MASK_OF_LINE_3 if name in named else stray for name, stray in STRAYS.items() if name != path}
    assert refused == {path: refused[path]} | others
    assert accounted(product_folder) == dict.fromkeys(["ok.jpg", "ok.png", *STRAYS], 1)
    assert [item[0] for item in samples("listing", product_folder.root, "bolt")] == ["ok.jpg"]


def test_the_lines_after_a_bad_one_are_read(product_folder):
    assert written(product_folder, "", f"a.jpg,{'x' * 200_000},bolt,dent,", "b.jpg,b.png,bolt,dent,") == {
        "list.csv": (Reason.BAD_ENTRY, "line 4: field larger than field limit (131072)"),
        "a.jpg": STRAYS["a.jpg"],
        "a.png": STRAYS["a.png"],
    }
    assert len(samples("listing", product_folder.root, "bolt")) == 2


@pytest.mark.parametrize(
    "line",
    ['a.jpg,"a.png,bolt,dent,', '"a.jpg,a.png,bolt,dent,', 'a.jpg,"a"x.png,bolt,dent,', 'a.jpg,a.png,"bo\nlt",dent,'],
)
def test_a_stray_quote_or_a_line_break_takes_no_other_line_with_it(product_folder, line):
    refused = written(product_folder, line, "b.jpg,b.png,bolt,dent,")
    assert refused["list.csv"] == (Reason.BAD_ENTRY, "line 3: its quotes do not enclose whole values within the line")
    assert refused["a.jpg"] == STRAYS["a.jpg"]
    assert [item[0] for item in samples("listing", product_folder.root, "bolt")] == ["b.jpg", "ok.jpg"]
    refused = written(product_folder, "", "b.jpg,b.png,bolt,dent,", line)
    assert refused["list.csv"][1].startswith("line 5: ")
    refused = written(product_folder, '"a.jpg","a.png","bolt","a ""deep"", dent",""')
    assert samples("listing", product_folder.root, "bolt")[0][:2] == ("a.jpg", "a_deep_dent")


def test_files_of_a_bad_line_may_be_those_of_a_good_one(product_folder):
    assert written(product_folder, "a.jpg,b.png,bolt,dent,val", "a.jpg,a.png,bolt,dent,", "b.jpg,b.png,bolt,dent,") == {
        "list.csv": (Reason.BAD_ENTRY, "line 3: split 'val' is neither train nor test")
    }
    assert set(accounted(product_folder).values()) == {1}


def test_files_of_several_bad_lines_are_set_aside_once(product_folder):
    lines = ("a.jpg,b.png,bolt,dent,val", "a.jpg,a.png,bolt,dent,val", "b.png,a.png,bolt,dent,val", "b.jpg,,bolt,ok,")
    assert written(product_folder, *lines) == {
        "a.jpg": (Reason.BAD_ENTRY, "line 3: split 'val' is neither train nor test"),
        "list.csv": (Reason.BAD_ENTRY, "line 4: split 'val' is neither train nor test"),
        "a.png": (Reason.BAD_ENTRY, "line 4, which is set aside, has it as a mask"),
        "b.png": (Reason.BAD_ENTRY, "line 5: split 'val' is neither train nor test"),
    }
    assert set(accounted(product_folder).values()) == {1}


def test_one_mask_may_be_that_of_several_images(product_folder):
    assert written(product_folder, "a.jpg,a.png,bolt,dent,", "b.jpg,a.png,bolt,dent,") == {"b.png": STRAYS["b.png"]}
    assert set(accounted(product_folder).values()) == {1}


def test_a_name_that_is_no_utf8_is_found_in_a_list_that_is_none_either(product_folder):
    written(product_folder)
    (product_folder.root / os.fsdecode(b"Z\xfcrich.jpg")).touch()
    table = product_folder.root / "list.csv"
    table.write_bytes(table.read_bytes() + b"\nZ\xfcrich.jpg,a.png,bolt,dent,")
    assert samples("listing", product_folder.root, "bolt")[0] == (r"Z\xfcrich.jpg", "dent", False, "a.png")


def test_an_image_belongs_to_the_product_that_names_it_first(product_folder):
    written(product_folder, "a.jpg,a.png,bolt,dent,", "a.jpg,a.png,nut,dent,")
    assert rejects("listing", product_folder.root, "nut") == {
        "list.csv": (Reason.BAD_ENTRY, "line 4: line 3 names a.jpg already")
    }


def test_several_spellings_of_one_path(product_folder):
    inside = product_folder.root / "b.jpg"
    assert written(product_folder, "./x/../a.jpg,a.png,bolt,dent,", f"{inside},b.png,bolt,dent,") == {}
    assert [item[0] for item in samples("listing", product_folder.root, "bolt")] == ["a.jpg", "b.jpg", "ok.jpg"]


def test_a_normal_image_may_have_a_black_mask(product_folder):
    product_folder.image("n.jpg")
    product_folder.mask("n.png", empty=True)
    assert written(product_folder, "n.jpg,n.png,bolt,Normal,test") == STRAYS
    assert samples("listing", product_folder.root, "bolt")[-1] == ("n.jpg", "good", True, "n.png")


def test_a_link_out_of_the_folder_is_set_aside_by_its_line(product_folder, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    product_folder.root.mkdir()
    for name in ("link.png", "mask.png"):
        (product_folder.root / name).symlink_to(tmp_path / "secret.png")
    assert written(product_folder, "./link.png,a.png,bolt,dent,", "b.jpg,mask.png,bolt,dent,") == {
        "link.png": (Reason.OUTSIDE, "line 3: a link out of it"),
        "a.png": MASK_OF_LINE_3,
        "b.jpg": (Reason.OUTSIDE, "line 4: its mask mask.png; a link out of it"),
        "mask.png": (Reason.OUTSIDE, "a link out of it"),
        "a.jpg": STRAYS["a.jpg"],
        "b.png": STRAYS["b.png"],
    }


def test_a_defect_without_masks_is_noted(product_folder):
    written(product_folder, "a.jpg,,bolt,stain,")
    assert LAYOUTS["listing"].survey(product_folder.root)["bolt"].notes == [
        "defect 'stain' is left out: no image of it has a mask"
    ]


def test_no_list_and_two_lists_are_refused(product_folder):
    listing(product_folder)
    product_folder.file("old.csv", LIST_HEADER.encode())
    with pytest.raises(DataError, match=r"plate: list\.csv and old\.csv both list samples; keep one of them"):
        LAYOUTS["listing"].survey(product_folder.root)
    product_folder.file("old.csv", b"image;mask;label\n")
    (product_folder.root / "list.csv").rename(product_folder.root / "list.txt")
    assert not LAYOUTS["listing"].matches(product_folder.root)
    with pytest.raises(DataError, match=r"product, defect: old\.csv lacks product, defect$"):
        LAYOUTS["listing"].survey(product_folder.root)
    (product_folder.root / "old.csv").unlink()
    with pytest.raises(DataError, match=r"product, defect: there is no such file$"):
        LAYOUTS["listing"].survey(product_folder.root)


def test_a_damaged_parquet_file_is_named(product_folder):
    listing(product_folder)
    frame = pd.read_csv(product_folder.root / "list.csv")
    (product_folder.root / "list.csv").unlink()
    whole = bytearray(parquet(pd.concat([frame] * 100)))
    whole[4:200] = bytes(196)
    product_folder.file("list.parquet", bytes(whole))
    with pytest.raises(DataError, match=r"list\.parquet: damaged after row 0: .*; write it again"):
        LAYOUTS["listing"].survey(product_folder.root)
    product_folder.file("list.parquet", b"PAR1")
    assert not LAYOUTS["listing"].matches(product_folder.root)


def test_a_list_that_is_a_link_out_of_the_folder_is_not_read(product_folder, tmp_path):
    listing(product_folder)
    (product_folder.root / "list.csv").rename(tmp_path / "list.csv")
    (product_folder.root / "list.csv").symlink_to(tmp_path / "list.csv")
    assert not LAYOUTS["listing"].matches(product_folder.root)
