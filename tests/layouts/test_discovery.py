import pytest

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
    }
    assert all(d.source == d.product for key, d in catalog.defects.items() if not key.endswith("-crack"))
    assert (catalog.generator_of("cap"), notes) == (SHARED, [])


def test_a_product_with_normal_images_only_is_left_out_unless_it_is_a_target(product_folder):
    parts = two_products(product_folder)
    copy_of(product_folder, "parts/cap").good(2)
    catalog, notes = discover(parts, True, [asked("nut", "crack", "bolt")])
    assert "cap" not in catalog.products
    assert notes == [f"{parts / 'cap'}: left out: no defect has both images and masks"]


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
    assert note.startswith(f"{product_folder.root}: defect 'stain' is left out: it needs images in test/stain")


def test_a_product_without_a_usable_defect_does_not_stop_the_others(product_folder):
    copy_of(product_folder, "parts/bolt").good(1).image("test/dent/000.png")
    copy_of(product_folder, "parts/nut").good(1).defect("dent", 1)
    catalog, notes = discover(product_folder.root.parent / "parts", shared=False)
    assert list(catalog.products) == ["nut"]
    assert any(note.endswith("bolt: left out: no defect has both images and masks") for note in notes)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder; give the folder that holds"):
        discover(tmp_path / "nowhere", shared=False)


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match="no usable product found; expected the MVTec-AD layout: train/good"):
        discover(tmp_path, shared=False)


def test_a_folder_of_something_else_says_what_was_left_out(product_folder):
    product_folder.image("photos/000.png")
    with pytest.raises(DataError, match=r"expected the MVTec-AD layout.*photos: left out: in no known layout"):
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
