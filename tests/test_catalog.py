from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_tasks.catalog import Catalog, check_name, load_catalog, slug
from pipeline_tasks.errors import ConfigError

GIVEN = """\
products:
  plate: {path: data/raw/plate, layout: mvtec}
  tile: {path: ../tiles, layout: mvtec}
generators:
  plate: {base: data/base/plate, prompts: data/prompts/plate}
  shared: {base: data/base, prompts: data/prompts}
defects:
  plate-pit: {product: plate, source: plate, generator: plate, prompts: data/prompts/plate.json, defect: pit}
  tile-crack: {product: tile, source: plate, generator: shared, prompts: data/prompts, defect: crack}
  plate-scratch: {product: plate, source: plate, generator: plate, prompts: data/prompts/plate.json, defect: scratch}
"""


def complaint(tmp_path: Path, old: str, new: str) -> str:
    path = tmp_path / "catalog.yaml"
    assert old in GIVEN
    path.write_text(GIVEN.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_catalog(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_catalog_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text(GIVEN)
    catalog = load_catalog(path)
    assert catalog.defects_of("plate") == ["pit", "scratch"]
    assert catalog.defects_of("tile") == ["crack"]
    assert (catalog.generator_of("plate"), catalog.generator_of("tile")) == ("plate", "shared")
    assert catalog.generators["shared"].base == "data/base"
    path.write_text(catalog.to_yaml())
    assert load_catalog(path) == catalog


def test_a_catalog_from_before_there_were_parts_has_none_and_one_with_parts_comes_back(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text(GIVEN)
    catalog = load_catalog(path)
    assert catalog.parts == {} and catalog.defects["tile-crack"].parts == "data/masks/tile/crack.refused.json"
    several = catalog.in_parts(3)
    assert several.defects["tile-crack"].parts == "data/parts/tile/crack"
    crack = several.parts["tile-crack-2"]
    assert (crack.product, crack.source, crack.generator, crack.defect) == ("tile", "plate", "shared", "crack")
    assert (crack.part, crack.parts, len(several.parts)) == (2, 3, 3 * 3)
    path.write_text(several.to_yaml())
    assert load_catalog(path) == several
    assert several.in_parts(1) == catalog


def test_one_defect_alone_may_be_made_in_parts(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text(GIVEN)
    catalog = load_catalog(path)
    several = catalog.in_parts(2)
    parts = {key: part for key, part in several.parts.items() if part.defect == "pit"}
    mixed = catalog.model_copy(
        update={"parts": parts, "defects": catalog.defects | {"plate-pit": several.defects["plate-pit"]}}
    )
    path.write_text(mixed.to_yaml())
    assert load_catalog(path) == mixed


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("part: 1, parts: 2}", "part: 2, parts: 2}", "plate-pit-1"),
        ("plate-pit-1:", "plate-pit-2:", "plate-pit-1"),
        ("parts: data/parts/plate/pit}", "parts: data/masks/plate/pit.refused.json}", "plate-pit"),
        ("defect: crack, part: 0", "defect: hole, part: 0", "tile-crack-0"),
    ],
)
def test_parts_that_do_not_go_with_their_defect_are_told(tmp_path, old, new, key):
    path = tmp_path / "catalog.yaml"
    path.write_text(GIVEN)
    text = load_catalog(path).in_parts(2).to_yaml().replace("\n    ", " ")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=rf"they do not go with the defects, see '{key}'; .*catalog FOLDER --parts"):
        load_catalog(path)


def test_a_licence_comes_back_as_it_was_written_and_is_unknown_where_none_is(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text(GIVEN)
    catalog = load_catalog(path)
    assert [product.licence for product in catalog.products.values()] == ["unknown", "unknown"]
    for licence in ("CC0-1.0", "no", "1.0", "in-house: 'ask' the lab, §5 # ${x}", "x" * 200):
        licensed = catalog.licensed({"tile": licence})
        assert {name: p.licence for name, p in licensed.products.items()} == {"plate": "unknown", "tile": licence}
        path.write_text(licensed.to_yaml())
        assert load_catalog(path) == licensed


def test_a_name_that_looks_like_a_number_stays_a_name(tmp_path):
    path = tmp_path / "catalog.yaml"
    catalog = Catalog.model_validate(
        {
            "products": {"12e5": {"path": "p", "layout": "mvtec"}},
            "generators": {"1_0": {"base": "b", "prompts": "p"}},
            "defects": {
                "12e5-007": {"product": "12e5", "source": "12e5", "generator": "1_0", "prompts": "p", "defect": "007"}
            },
        }
    )
    path.write_text(catalog.to_yaml())
    assert load_catalog(path) == catalog


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", "a b", "ü", "a\n", "x" * 65, "a-b", "$HOME"])
def test_what_cannot_be_a_file_name_everywhere_is_no_name(tmp_path, name):
    with pytest.raises(ValueError, match="is no name: use 1 to 64 letters"):
        check_name(name)


def test_a_product_name_that_leads_elsewhere_is_refused(tmp_path):
    message = complaint(tmp_path, "  plate: {path", "  ../x: {path")
    assert "products.../x: '../x' is no name: use 1 to 64 letters (a-z, A-Z), digits and underscores" in message
    assert "defects.plate-pit.defect: '../pit'" in complaint(tmp_path, "defect: pit", "defect: ../pit")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("plate-pit:", "plate_pit:", "defects: key 'plate_pit' should read 'plate-pit'"),
        ("tile: {path", "tiles: {path", "names product 'tile', which is not among the products"),
        ("shared: {base", "joint: {base", "'tile-crack' names generator 'shared', which is not among them"),
        ("shared: {base", "../x: {base", "generators.../x: '../x' is no name: use 1 to 64 letters"),
        (", prompts: data/prompts}", "}", "generators.shared.prompts: missing, add it"),
        ("base: data/base,", "base: $(reboot),", "generators.shared.base: '$(reboot)' holds a character that a shell"),
        (", generator: shared", "", "defects.tile-crack.generator: missing, add it"),
        ("tile, source: plate", "tile, source: bolt", "names source 'bolt', which is not among the products"),
        ("defect: pit", "defect: good", "defects.plate-pit.defect: 'good' means normal images"),
        (", layout: mvtec", "", "products.plate.layout: missing, add it"),
        ("layout: mvtec", "layout: mvtec, licence: 4.0", "plate.licence: Input should be a valid string, found 4.0"),
        ("layout: mvtec", "layout: mvtec, licence: ' '", "products.plate.licence: ' ' names no licence: give an SPDX"),
        ("layout: mvtec", 'layout: mvtec, licence: "a\\nb"', r"plate.licence: 'a\nb' names no licence"),
        ("layout: mvtec", f"layout: mvtec, licence: {'x' * 201}", "in one line of at most 200 characters"),
        ("layout: mvtec", "layout: mvtec, color: red", "products.plate.color: unknown key"),
        ("path: data/raw/plate", "path: ''", "products.plate.path: "),
        ("path: data/raw/plate", "path: 5", "products.plate.path: Input should be a valid string, found 5"),
        ("path: data/raw/plate", "path: 'a\"; rm -rf b'", "holds a character that a shell would interpret"),
        ("path: data/raw/plate", "path: $HOME", "holds a character that a shell would interpret"),
        (GIVEN, "products: {}\ndefects: {}\n", "products: "),
        (GIVEN, "products: {}\ngenerators: {}\ndefects: {}\n", "generators: "),
        (GIVEN, "", "the file: should hold keys with values, found None"),
        (GIVEN, "products: [", "not YAML: "),
    ],
)
def test_a_wrong_entry_is_named_with_its_reason(tmp_path, old, new, expected):
    assert expected in complaint(tmp_path, old, new)


def test_a_missing_catalog_says_how_to_write_it(tmp_path):
    with pytest.raises(ConfigError, match=r"catalog\.yaml: missing; write it with `defectline catalog FOLDER`"):
        load_catalog(tmp_path / "catalog.yaml")


@given(st.text(max_size=80))
def test_a_slug_is_a_name_or_an_error(text):
    try:
        name = slug(text)
    except ConfigError as error:
        assert "rename the folder" in str(error)
    else:
        assert check_name(name) == slug(name) == name


def test_a_slug_keeps_what_it_can():
    assert slug("MT_Blowhole") == "MT_Blowhole"
    assert slug(" surface (top) #2 ") == "surface_top_2"
