import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from miniatures import MINIATURES

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.sample.product import LICENCE, Counts, write_product


def test_the_catalog_of_a_folder_is_written(defectline, product_folder):
    product_folder.good(1).defect("pit", 1).defect("scratch", 1)
    ran = defectline("catalog", "plate")
    assert ran.status == 0
    assert ran.out == "catalog.yaml: products plate; defects plate-pit, plate-scratch\n"
    catalog = load_catalog()
    assert catalog.products["plate"].path == "plate"
    assert catalog.defects_of("plate") == ["pit", "scratch"]
    assert list(catalog.generators) == ["plate"]


def test_a_layout_is_asked_for(defectline, product_folder):
    product_folder.good(1).defect("pit", 1)
    product_folder.image("images/a.jpg")
    product_folder.mask("masks/a.png")
    assert "note: plate: read as mvtec, though plain fits too" in defectline("catalog", "plate").out
    ran = defectline("catalog", "plate", "--layout", "plain")
    assert (ran.status, ran.out) == (0, "catalog.yaml: products plate; defects plate-defect\n")
    assert load_catalog().products["plate"].layout == "plain"
    assert defectline("catalog", "plate", "--layout", "coco").err.startswith("error: layout 'coco' is unknown; known: ")


def test_a_list_is_read_or_refused_but_no_other_in_its_place(defectline, product_folder):
    MINIATURES["listing"](product_folder)
    ran = defectline("catalog", "plate/list.csv")
    assert (ran.status, ran.out) == (0, "catalog.yaml: products bolt, nut; defects bolt-deep_dent, nut-crack\n")
    product_folder.file("new.csv", b"image,mask\n")
    ran = defectline("catalog", "plate/new.csv")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error: plate/new.csv: lacks the columns product, defect; a list has image, mask, ")


def test_one_generator_for_all_products_is_asked_for(defectline, product_folder):
    product_folder.good(1).defect("pit", 1)
    assert defectline("catalog", "plate", "--shared").status == 0
    assert list(load_catalog().generators) == ["shared"]
    assert load_catalog().generator_of("plate") == "shared"
    defectline("catalog", "plate")
    assert list(load_catalog().generators) == ["plate"], "and given up again"


def test_parts_are_asked_for(defectline, product_folder):
    product_folder.good(1).defect("pit", 1)
    ran = defectline("catalog", "plate", "--parts", "3")
    assert ran.out == (
        "note: 3 parts, but 2 whole shards (generate.shard_pairs) in masks.pairs_per_defect: some are empty\n"
        "catalog.yaml: products plate; defects plate-pit\n"
    )
    assert list(load_catalog().parts) == ["plate-pit-0", "plate-pit-1", "plate-pit-2"]
    assert defectline("catalog", "plate", "--parts", "0").status == 2
    assert "note" not in defectline("catalog", "plate").out
    assert yaml.safe_load(Path("catalog.yaml").read_text())["parts"] == {}, "and given up again; DVC wants the key"


def zero_shot(backend="dit"):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["backend"]["name"], params["prompts"]["kind"] = backend, "disentangled"
    params["zero_shot"] = [{"source": "plate", "defect": "pit", "product": "tile"}]
    Path("params.yaml").write_text(yaml.safe_dump(params))


def two_products(product_folder):
    parts = product_folder.root.parent / "parts"
    type(product_folder)(parts / "plate").good(1).defect("pit", 1)
    type(product_folder)(parts / "tile").good(1)
    return parts


def test_zero_shot_defects_of_params_enter_the_catalog(defectline, product_folder):
    parts = two_products(product_folder)
    zero_shot()
    ran = defectline("catalog", parts, "--shared")
    assert (ran.status, ran.out) == (0, "catalog.yaml: products plate, tile; defects plate-pit, tile-pit\n")
    assert load_catalog().defects["tile-pit"].source == "plate"
    ran = defectline("catalog", parts)
    assert ran.status == 1
    assert "found one for each (plate, tile); run `defectline catalog` with --shared" in ran.err


def test_zero_shot_needs_the_backend_that_can(defectline, product_folder):
    parts = two_products(product_folder)
    zero_shot("controlnet")
    ran = defectline("catalog", parts, "--shared")
    assert ran.status == 1
    assert ran.err.startswith("error: params.yaml: zero_shot needs backend.name: dit, found controlnet; change it")
    assert not Path("catalog.yaml").exists()


def licences():
    return {name: product.licence for name, product in load_catalog().products.items()}


def test_the_licence_of_the_samples_is_told_once_and_kept(defectline, product_folder):
    parts = product_folder.root.parent / "parts"
    for name in ("bolt", "nut"):
        type(product_folder)(parts / name).defect("dent", 1)
    defectline("catalog", parts)
    assert licences() == {"bolt": "unknown", "nut": "unknown"}
    assert defectline("catalog", parts, "--licence", "CC-BY-4.0").status == 0
    assert licences() == {"bolt": "CC-BY-4.0", "nut": "CC-BY-4.0"}
    type(product_folder)(parts / "cap").defect("dent", 1)
    defectline("catalog", parts)
    assert licences() == {"bolt": "CC-BY-4.0", "cap": "unknown", "nut": "CC-BY-4.0"}
    defectline("catalog", parts, "--licence", "in-house")
    assert set(licences().values()) == {"in-house"}


def test_the_licence_of_another_folder_is_not_taken_over(defectline, product_folder):
    product_folder.defect("pit", 1)
    defectline("catalog", "plate", "--licence", "CC-BY-4.0")
    other = type(product_folder)(product_folder.root.parent / "other" / "plate").defect("pit", 1)
    defectline("catalog", other.root)
    assert licences() == {"plate": "unknown"}


def test_a_catalog_that_cannot_be_read_is_replaced_and_its_licences_with_it(defectline, product_folder):
    product_folder.defect("pit", 1)
    Path("catalog.yaml").write_text("products: [")
    assert defectline("catalog", "plate").status == 0
    assert licences() == {"plate": "unknown"}


def test_the_sample_product_has_a_licence_unless_another_one_is_given(defectline, product_folder):
    write_product(Path("drawn"), 0, Counts(train_good=1, test_good=0, per_defect=1))
    defectline("catalog", "drawn")
    assert licences() == {"drawn": LICENCE}
    defectline("catalog", "drawn", "--licence", "in-house")
    defectline("catalog", "drawn")
    assert licences() == {"drawn": "in-house"}


@pytest.mark.parametrize("licence", ["", "  ", "a\nb", "x" * 201])
def test_what_is_no_licence_is_refused_and_the_old_catalog_stays(defectline, product_folder, licence):
    product_folder.defect("pit", 1)
    defectline("catalog", "plate")
    before = Path("catalog.yaml").read_bytes()
    ran = defectline("catalog", "plate", "--licence", licence)
    assert ran.status == 1
    assert ran.err.startswith("error: --licence: ") and "names no licence: give an SPDX identifier" in ran.err
    assert Path("catalog.yaml").read_bytes() == before


def test_another_licence_leaves_every_stage_up_to_date(refreshed):
    catalog = load_catalog()
    text = catalog.licensed(dict.fromkeys(catalog.products, "in-house: ${item.path}, ask $USER")).to_yaml()
    Path("catalog.yaml").write_text(text)
    status = subprocess.run([sys.executable, "-m", "dvc", "status", "--json"], check=True, capture_output=True)
    assert json.loads(status.stdout) == {}


def test_an_unchanged_catalog_is_not_written_again(defectline, product_folder):
    product_folder.defect("pit", 1)
    defectline("catalog", "plate")
    before = Path("catalog.yaml").stat().st_mtime_ns
    defectline("catalog", "plate")
    assert Path("catalog.yaml").stat().st_mtime_ns == before


def test_what_is_left_out_is_told(defectline, product_folder):
    product_folder.defect("pit", 1).image("test/stain/000.png")
    ran = defectline("catalog", "plate")
    assert "note: plate: defect 'stain' is left out: no image of it has a mask" in ran.out


def test_a_folder_that_is_missing_or_empty_is_refused_and_the_old_catalog_stays(defectline, product_folder):
    product_folder.defect("pit", 1)
    defectline("catalog", "plate")
    before = Path("catalog.yaml").read_bytes()
    Path("empty").mkdir()
    ran = defectline("catalog", "nowhere")
    assert (ran.status, ran.err) == (
        1,
        "error: nowhere: no such folder; give the folder that holds your product's images\n",
    )
    ran = defectline("catalog", "empty")
    assert ran.status == 1
    assert ran.err.startswith("error: empty: no usable product found; expected\n  visa: ")
    assert Path("catalog.yaml").read_bytes() == before


def test_a_defect_that_is_gone_takes_its_outputs_with_it(refreshed, defectline, product_folder, monkeypatch):
    monkeypatch.chdir(refreshed)
    gone = load_catalog()
    plate = type(product_folder)(refreshed / "parts" / "plate").defect("pit", 1)
    ran = defectline("catalog", plate.root.parent)
    assert ran.status == 0
    assert list(load_catalog().defects) == ["plate-pit"]
    lost = [name for name in gone.defects if name != "plate-pit"]
    assert lost
    for name in lost:
        assert f"note: stage generate@{name} is gone; DVC's cache keeps its outputs" in ran.out
        assert not Path(f"data/pairs/plate/{name.removeprefix('plate-')}").exists()
    assert subprocess.run([sys.executable, "-m", "dvc", "status", "-q"], check=False).returncode in (0, 1)
