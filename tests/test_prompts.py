import pytest

from pipeline_tasks.errors import DataError
from pipeline_tasks.prompts import ProductNames, PromptBook, mask_prompt, read_prompts
from pipeline_tasks.storage import write_json

BOOK = PromptBook(
    {"plate": {"pit": "pit plate", "good": "good plate"}, "tile": {"pit": "pit tile"}},
    {"plate": {"a.png": "dark pit plate"}, "tile": {}},
)


def test_a_sample_s_own_prompt_comes_first():
    assert BOOK.of("plate", "pit", "a.png") == "dark pit plate"
    assert BOOK.of("plate", "pit", "b.png") == "pit plate"
    assert BOOK.of("tile", "pit", "a.png") == "pit tile"


@pytest.mark.parametrize(("product", "defect"), [("plate", "scratch"), ("bolt", "pit")])
def test_a_missing_prompt_is_named(product, defect):
    with pytest.raises(DataError, match=f"no prompt for '{defect}' on '{product}'"):
        BOOK.of(product, defect, "c.png")


def test_all_prompts_are_listed_once():
    assert BOOK.all() == ["dark pit plate", "good plate", "pit plate", "pit tile"]


def test_one_product_s_file_or_a_folder_of_them_is_read(tmp_path):
    for product in BOOK.defects:
        write_json(tmp_path / f"{product}.json", {"defects": BOOK.defects[product], "samples": BOOK.samples[product]})
    assert read_prompts(tmp_path) == BOOK
    assert read_prompts(tmp_path / "plate.json").defects == {"plate": BOOK.defects["plate"]}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"plate\.json: missing"):
        read_prompts(tmp_path / "plate.json")


NAMED = PromptBook(
    {"steel": {"good": "A photo of good steel", "deep_pit": "A photo of hole steel"}, "tile": {"good": "good tile"}},
    {"steel": {}, "tile": {}},
    {
        "steel": ProductNames("steel", {"good": "good", "deep_pit": "hole"}),
        "tile": ProductNames("tile", {"good": "good"}),
    },
)


def test_a_defect_has_its_product_s_words_and_its_unified_name():
    assert NAMED.names("steel", "deep_pit") == ("steel", "hole")
    assert NAMED.names("tile", "good") == ("tile", "good")


@pytest.mark.parametrize(("book", "product", "defect"), [(BOOK, "plate", "pit"), (NAMED, "tile", "deep_pit")])
def test_missing_names_say_what_to_set(book, product, defect):
    with pytest.raises(DataError, match=f"no names for '{defect}' on '{product}'; set prompts.kind to disentangled"):
        book.names(product, defect)


def test_a_borrowed_defect_is_called_as_on_its_source_and_everything_else_stays():
    book = NAMED.borrow("tile", "deep_pit", "steel")
    assert book.names("tile", "deep_pit") == ("tile", "hole")
    assert book.of("tile", "deep_pit", "test/deep_pit/000.png") == "A photo of hole tile"
    assert book.of("tile", "good", "") == "good tile"
    assert (book.defects["steel"], book.words["steel"]) == (NAMED.defects["steel"], NAMED.words["steel"])
    assert "deep_pit" not in NAMED.defects["tile"]


def test_a_defect_of_the_product_s_own_needs_no_names_to_be_its_own():
    assert BOOK.borrow("plate", "pit", "plate") is BOOK
    with pytest.raises(DataError, match="no names for 'good' on 'tile'"):
        BOOK.borrow("tile", "scratch", "plate")


def test_names_are_read_where_there_are_any(tmp_path):
    names = {"product": "steel", "defects": {"good": "good", "deep_pit": "hole"}}
    write_json(tmp_path / "steel.json", {"defects": NAMED.defects["steel"], "samples": {}, "names": names})
    write_json(tmp_path / "plate.json", {"defects": BOOK.defects["plate"], "samples": {}, "names": None})
    assert read_prompts(tmp_path).words == {"steel": NAMED.words["steel"]}


def test_the_prompt_of_a_mask_is_another_than_that_of_its_defect():
    assert mask_prompt("pit plate") == "mask of pit plate"
