from pathlib import Path

import pytest
from miniatures import MINIATURES

from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.layouts.discovery import SHARED, discover
from pipeline_tasks.params import ZeroShot


def copy_of(product_folder, name):
    return type(product_folder)(product_folder.root.parent / name)


def test_one_product(product_folder):
    product_folder.good(1).defect("pit", 1).defect("scratch", 1)
    catalog, notes = discover(product_folder.root, shared=False)
    assert {name: (p.path, p.layout) for name, p in catalog.products.items()} == {
        "plate": (str(product_folder.root), "mvtec")
    }
    assert list(catalog.defects) == ["plate-pit", "plate-scratch"]
    assert notes == []


def test_a_folder_of_products(product_folder):
    parent = product_folder.root / "parts"
    copy_of(product_folder, "plate/parts/steel tile").defect("crack", 1)
    copy_of(product_folder, "plate/parts/bolt").good(1).defect("dent", 1)
    (parent / "papers").mkdir()
    catalog, notes = discover(parent, shared=False)
    assert list(catalog.products) == ["bolt", "steel_tile"]
    assert catalog.defects["steel_tile-crack"].product == "steel_tile"
    assert notes == [f"{parent / 'papers'}: left out: in no known layout"]


def two_products(product_folder):
    copy_of(product_folder, "parts/bolt").good(1).defect("dent", 1)
    copy_of(product_folder, "parts/nut").defect("crack", 1).defect("dent", 1)
    return product_folder.root.parent / "parts"


def test_each_product_has_a_generator_of_its_own(product_folder):
    catalog, _ = discover(two_products(product_folder), shared=False)
    assert {name: (g.base, g.prompts) for name, g in catalog.generators.items()} == {
        "bolt": ("data/base/bolt", "data/prompts/bolt.json"),
        "nut": ("data/base/nut", "data/prompts/nut.json"),
    }
    assert {name: d.generator for name, d in catalog.defects.items()} == {
        "bolt-dent": "bolt",
        "nut-crack": "nut",
        "nut-dent": "nut",
    }


def test_all_products_may_share_one_generator(product_folder):
    catalog, _ = discover(two_products(product_folder), shared=True)
    assert {name: (g.base, g.prompts) for name, g in catalog.generators.items()} == {
        SHARED: ("data/base", "data/prompts")
    }
    assert {d.generator for d in catalog.defects.values()} == {SHARED}
    assert [catalog.generator_of(product) for product in ("bolt", "nut")] == [SHARED, SHARED]


def asked(source, defect, product):
    return ZeroShot(source=source, defect=defect, product=product)


def test_a_defect_may_be_made_on_a_product_that_has_normal_images_only(product_folder):
    parts = two_products(product_folder)
    copy_of(product_folder, "parts/cap").good(2)
    catalog, notes = discover(parts, True, [asked("nut", "crack", "cap"), asked("nut", "crack", "bolt")])
    assert list(catalog.products) == ["bolt", "cap", "nut"]
    assert list(catalog.defects) == ["bolt-dent", "nut-crack", "nut-dent", "cap-crack", "bolt-crack"]
    assert catalog.defects["cap-crack"].model_dump() == {
        "product": "cap",
        "source": "nut",
        "defect": "crack",
        "generator": SHARED,
        "prompts": "data/prompts",
        "parts": "data/masks/cap/crack.refused.json",
    }
    assert all(d.source == d.product for key, d in catalog.defects.items() if not key.endswith("-crack"))
    assert (catalog.generator_of("cap"), notes) == (SHARED, [])


def test_a_product_with_normal_images_only_is_left_out_unless_it_is_a_target(product_folder):
    parts = two_products(product_folder)
    copy_of(product_folder, "parts/cap").good(2)
    catalog, notes = discover(parts, True, [asked("nut", "crack", "bolt")])
    assert "cap" not in catalog.products
    assert notes == [f"{parts / 'cap'}: 'cap' is left out: no defect has both images and masks"]


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (("nuts", "crack", "bolt"), "source: no product 'nuts'; found: bolt, nut"),
        (("nut", "crack", "bolts"), "product: no product 'bolts'; found: bolt, nut"),
        (("nut", "pit", "bolt"), "defect: 'nut' has no usable defect 'pit'; it has: crack, dent"),
        (("nut", "dent", "bolt"), "product: 'bolt' has real 'dent' of its own; remove the entry"),
        (("nut", "dent", "nut"), "product: 'nut' has real 'dent' of its own; remove the entry"),
    ],
)
def test_a_wrong_zero_shot_entry_is_named(product_folder, entry, complaint):
    with pytest.raises(ConfigError) as caught:
        discover(two_products(product_folder), True, [asked("nut", "crack", "bolt"), asked(*entry)])
    assert str(caught.value) == f"params.yaml: zero_shot[1]: {complaint}"


def test_a_target_gets_a_defect_from_one_source_only(product_folder):
    parts = two_products(product_folder)
    copy_of(product_folder, "parts/cap").defect("crack", 1)
    with pytest.raises(ConfigError, match=r"zero_shot\[1\]: 'crack' on 'bolt' a second time; remove one"):
        discover(parts, True, [asked("nut", "crack", "bolt"), asked("cap", "crack", "bolt")])


def test_zero_shot_needs_a_shared_generator(product_folder):
    with pytest.raises(ConfigError, match=r"found one for each \(bolt, nut\); run `defectline catalog` with --shared"):
        discover(two_products(product_folder), False, [asked("nut", "crack", "bolt")])


def test_a_product_called_like_the_shared_generator_stays_itself(product_folder):
    copy_of(product_folder, f"parts/{SHARED}").defect("dent", 1)
    catalog, _ = discover(product_folder.root.parent / "parts", shared=False)
    assert catalog.generators[SHARED].base == f"data/base/{SHARED}"


def test_a_relative_path_stays_relative(product_folder, monkeypatch):
    product_folder.defect("pit", 1)
    monkeypatch.chdir(product_folder.root.parent)
    catalog, _ = discover(product_folder.root.relative_to(product_folder.root.parent), shared=False)
    assert catalog.products["plate"].path == "plate"


def test_a_defect_without_masks_is_noted(product_folder):
    product_folder.defect("pit", 1).image("test/stain/000.png")
    catalog, notes = discover(product_folder.root, shared=False)
    assert list(catalog.defects) == ["plate-pit"]
    (note,) = notes
    assert note.startswith(f"{product_folder.root}: defect 'stain' is left out: no image of it has a mask")


def test_a_product_without_a_usable_defect_does_not_stop_the_others(product_folder):
    copy_of(product_folder, "parts/bolt").good(1).image("test/dent/000.png")
    copy_of(product_folder, "parts/nut").good(1).defect("dent", 1)
    catalog, notes = discover(product_folder.root.parent / "parts", shared=False)
    assert list(catalog.products) == ["nut"]
    assert any(note.endswith("'bolt' is left out: no defect has both images and masks") for note in notes)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder; give the folder that holds"):
        discover(tmp_path / "nowhere", shared=False)


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(
        DataError, match=r"no usable product found; expected\n  visa: (.*\n)+  mvtec: train/good/NAME.png"
    ):
        discover(tmp_path, shared=False)


def test_a_folder_of_something_else_says_what_was_left_out(product_folder):
    product_folder.image("test/photos/000.png")
    with pytest.raises(DataError, match=r"expected\n  (.*\n)+.*test: left out: in no known layout"):
        discover(product_folder.root, shared=False)


def test_two_products_of_one_name_are_refused(product_folder):
    for name in ("a b", "a_b"):
        copy_of(product_folder, f"parts/{name}").defect("pit", 1)
    with pytest.raises(DataError, match="a second product called 'a_b'; rename one of the folders"):
        discover(product_folder.root.parent / "parts", shared=False)


def test_a_path_that_a_shell_would_interpret_is_refused(product_folder):
    copy_of(product_folder, "parts/$(reboot)").defect("pit", 1)
    with pytest.raises(ConfigError, match=r"products\.reboot.path: .* a shell would interpret; rename the folder"):
        discover(product_folder.root.parent / "parts", shared=False)


def test_a_folder_without_a_nameable_name_is_refused(product_folder):
    copy_of(product_folder, "parts/~~").defect("pit", 1)
    with pytest.raises(ConfigError, match="'~~' holds no letter or digit to make a name of; rename the folder"):
        discover(product_folder.root.parent / "parts", shared=False)


def in_layout(product_folder, name, layout):
    folder = copy_of(product_folder, name)
    MINIATURES[layout](folder)
    return folder


def test_every_layout_is_found_in_one_folder(product_folder):
    for layout in MINIATURES:
        in_layout(product_folder, f"parts/{layout}", layout)
    catalog, notes = discover(product_folder.root.parent / "parts", shared=False)
    own = [name for name in MINIATURES if name not in ("visa", "listing")]
    expected = {name: (name, name) for name in own}
    expected |= {"candle": ("visa", "visa"), "fryum": ("visa", "visa")}
    expected |= {"bolt": ("listing", "listing"), "nut": ("listing", "listing")}
    assert {name: (Path(p.path).name, p.layout) for name, p in catalog.products.items()} == expected
    assert list(catalog.products) == sorted(expected)
    assert notes == []


@pytest.mark.parametrize("layout", MINIATURES)
def test_a_folder_of_one_layout_is_found(product_folder, layout):
    MINIATURES[layout](product_folder)
    catalog, notes = discover(product_folder.root, shared=False)
    assert {(p.path, p.layout) for p in catalog.products.values()} == {(str(product_folder.root), layout)}
    assert notes == []


def test_what_fits_two_layouts_is_noted_and_may_be_chosen(product_folder):
    MINIATURES["plain"](product_folder)
    MINIATURES["mvtec"](product_folder)
    catalog, notes = discover(product_folder.root, shared=False)
    assert (catalog.products["plate"].layout, list(catalog.defects)) == ("mvtec", ["plate-pit"])
    assert notes == [f"{product_folder.root}: read as mvtec, though plain fits too; choose with --layout"]
    catalog, notes = discover(product_folder.root, shared=False, layout_name="plain")
    assert (catalog.products["plate"].layout, list(catalog.defects)) == ("plain", ["plate-defect"])
    assert notes == []


@pytest.mark.parametrize(
    ("image", "mask"), [("images/a.jpg", "masks/a.png"), ("a.jpg", "a.png"), ("a.png", "a_mask.png")]
)
def test_pairs_in_train_and_test_are_not_taken_for_the_folders_of_defects(product_folder, image, mask):
    for split in ("train", "test"):
        product_folder.image(f"{split}/{image}")
        product_folder.mask(f"{split}/{mask}")
        product_folder.image(f"{split}/good/b.jpg")
    catalog, notes = discover(product_folder.root, shared=False)
    assert (catalog.products["plate"].layout, list(catalog.defects)) == ("plain", ["plate-defect"])
    assert notes == []


def test_what_the_first_layout_complains_about_is_told_though_another_fits(product_folder):
    MINIATURES["plain"](product_folder)
    product_folder.defect("a b", 1).defect("a_b", 1)
    with pytest.raises(DataError, match="its name reads 'a_b', which is another folder's; rename it"):
        discover(product_folder.root, shared=False)


def test_a_named_layout_is_taken_where_another_is_detected(product_folder):
    MINIATURES["btad"](product_folder)
    catalog, _ = discover(product_folder.root, shared=False, layout_name="mvtec")
    assert list(catalog.defects) == ["plate-ko"]


def test_a_named_layout_is_looked_for_in_the_folders_below(product_folder):
    in_layout(product_folder, "GDXray/Welds", "gdxray")
    in_layout(product_folder, "GDXray/Castings", "mvtec")
    catalog, notes = discover(product_folder.root.parent / "GDXray", shared=False, layout_name="gdxray")
    assert list(catalog.products) == ["Welds"]
    assert notes == [f"{product_folder.root.parent / 'GDXray/Castings'}: left out: not in layout gdxray"]


def test_a_named_layout_that_finds_nothing_says_what_it_is(product_folder):
    MINIATURES["mvtec"](product_folder)
    with pytest.raises(DataError, match=r"expected\n  deepcrack: train_img.*\n.*'plate' is left out"):
        discover(product_folder.root, shared=False, layout_name="deepcrack")
    with pytest.raises(DataError, match="no CSV or Parquet file with the columns image, mask, product, defect"):
        discover(product_folder.root, shared=False, layout_name="listing")
    with pytest.raises(ConfigError, match="layout 'coco' is unknown"):
        discover(product_folder.root, shared=False, layout_name="coco")


def test_the_list_itself_may_be_given(product_folder):
    MINIATURES["listing"](product_folder)
    catalog, _ = discover(product_folder.root / "list.csv", shared=False)
    assert {(p.path, p.layout) for p in catalog.products.values()} == {(str(product_folder.root), "listing")}
    product_folder.file("notes.csv", b"image,mask\n")
    assert discover(product_folder.root / "list.csv", False, layout_name="listing")[0] == catalog
    with pytest.raises(DataError, match=r"1\.jpg: no such folder"):
        discover(product_folder.root / "shots/1.jpg", shared=False)


def test_no_other_list_is_read_than_the_one_that_is_given(product_folder, tmp_path):
    MINIATURES["listing"](product_folder)
    new, old = product_folder.root / "new.csv", product_folder.root / "list.csv"
    new.write_bytes(b"image,mask,defect\nshots/1.jpg,shots/1.png,dent\n")
    with pytest.raises(
        DataError, match=r"new\.csv: lacks the columns product; a list has image, mask, product, defect"
    ):
        discover(new, shared=False)
    new.write_bytes(old.read_bytes())
    with pytest.raises(DataError, match=r"new\.csv: list\.csv beside it lists samples too, .* keep new\.csv alone"):
        discover(new, shared=False)
    old.unlink()
    with pytest.raises(ConfigError, match=r"new\.csv: is no folder in layout mvtec; give the folder, or leave out"):
        discover(new, shared=False, layout_name="mvtec")
    assert list(discover(new, shared=False)[0].products) == ["bolt", "nut"]
    for name in ("link.csv", ".hidden.csv"):
        new = new.rename(product_folder.root / ".hidden.csv")
        (product_folder.root / "link.csv").unlink(missing_ok=True)
        (tmp_path / "elsewhere.csv").write_bytes(new.read_bytes())
        (product_folder.root / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
        with pytest.raises(DataError, match=rf"{name}: is hidden, or a link out of its folder; put a copy there"):
            discover(product_folder.root / name, shared=False)
