import pytest

from pipeline_tasks.errors import DataError
from pipeline_tasks.prompts import PromptBook, mask_prompt, read_prompts
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


def test_the_prompt_of_a_mask_is_another_than_that_of_its_defect():
    assert mask_prompt("pit plate") == "mask of pit plate"
