import pytest

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.layouts import READERS, reader
from pipeline_tasks.layouts.raw import reject
from pipeline_tasks.layouts.reasons import REMEDY, Reason


def test_readers_are_found_by_name():
    assert all(reader(name) is module for name, module in READERS.items())
    with pytest.raises(ConfigError, match=r"catalog\.yaml: layout 'coco' is unknown; known: mvtec"):
        reader("coco")


def test_every_reason_has_a_remedy():
    assert set(REMEDY) == set(Reason)


def test_a_reject_says_what_was_found_and_what_to_do():
    assert reject("a.png", "pit", Reason.EMPTY_MASK).detail == REMEDY[Reason.EMPTY_MASK]
    assert reject("a.png", "pit", Reason.SIZE_MISMATCH, "4 x 5").detail == f"4 x 5; {REMEDY[Reason.SIZE_MISMATCH]}"
