import numpy as np
import pytest

from pipeline_tasks.commands import shelf as module
from pipeline_tasks.commands.shelf import FolderShelf


@pytest.fixture
def shelf_of(tmp_path, monkeypatch):
    """Makes the shelf of a stage and product anew, as the next run of the command does."""
    monkeypatch.chdir(tmp_path)
    return lambda stage="choose", product="plate": FolderShelf.of(stage, product)


def refused():
    raise AssertionError("it is kept already")


def arrays(value=1.0):
    return {"counts": np.full((2, 3), value, np.float32), "source_path": np.array(["é/1.png", "b"], np.str_)}


def names(shelf):
    return sorted(path.name for path in shelf.folder.iterdir())


def test_arrays_are_made_once_and_kept_as_they_are(shelf_of):
    made = shelf_of().arrays("k", arrays)
    kept = shelf_of().arrays("k", refused)
    for found in (made, kept):
        assert {name: (value.dtype, value.tolist()) for name, value in found.items()} == {
            name: (value.dtype, value.tolist()) for name, value in arrays().items()
        }


def test_a_duration_is_measured_once(shelf_of):
    assert shelf_of().seconds("k", lambda: 0.1 + 0.2) == 0.1 + 0.2
    assert shelf_of().seconds("k", refused) == 0.1 + 0.2


@pytest.mark.parametrize("other", [("evaluate", "plate"), ("choose", "tile")])
def test_stages_products_and_keys_do_not_share(shelf_of, other):
    shelf_of().arrays("k", arrays)
    assert shelf_of(*other).arrays("k", lambda: arrays(2.0))["counts"][0, 0] == 2
    assert shelf_of().arrays("l", lambda: arrays(3.0))["counts"][0, 0] == 3
    assert shelf_of().arrays("k", refused)["counts"][0, 0] == 1


def test_what_failed_or_was_killed_leaves_nothing(shelf_of):
    def killed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf_of().arrays("k", killed)
    with pytest.raises(ValueError, match="allow_pickle"):
        shelf_of().arrays("k", lambda: {"object": np.array([object()])})
    assert shelf_of().arrays("k", arrays)["counts"][0, 0] == 1
    assert names(shelf_of()) == ["k.npz"]


def test_tidying_keeps_what_this_run_asked_for_and_nothing_else(shelf_of):
    before = shelf_of()
    for key in "abc":
        before.arrays(key, arrays)
    before.seconds("old", lambda: 1.0)
    now = shelf_of()
    now.arrays("b", refused)
    now.arrays("d", arrays)
    now.seconds("new", lambda: 1.0)
    now.tidy()
    assert names(now) == ["b.npz", "d.npz", "new.json"]


def test_other_code_repeats_everything_and_tidies_up(shelf_of, monkeypatch):
    before = shelf_of()
    before.arrays("k", arrays)
    shelf_of(product="tile").arrays("k", arrays)
    monkeypatch.setattr(module, "work_folder", lambda stage, item, *_: before.folder.with_name("othercode"))
    after = shelf_of()
    after.arrays("k", lambda: arrays(2.0))
    after.tidy()
    assert not before.folder.exists()
    assert names(after) == ["k.npz"]


def test_a_run_without_a_training_has_nothing_to_tidy(shelf_of):
    """Nor has one that asked for nothing where other code has left something."""
    shelf_of().tidy()
    other = shelf_of().folder.with_name("othercode")
    other.mkdir(parents=True)
    shelf_of().tidy()
    assert not other.exists()
