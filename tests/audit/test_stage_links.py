import shutil

import pytest
import yaml
from kept_versions import git, keep, make_repository

from pipeline_tasks.audit.stage_links import Ground, stage_links
from pipeline_tasks.lineage.objects import stored_objects
from pipeline_tasks.lineage.snapshot import snapshot_at, unpacked


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("stage links") / "a repository"
    make_repository(root)
    return root


@pytest.fixture
def root(template, tmp_path):
    """A throwaway copy of a repository with a version."""
    return shutil.copytree(template, tmp_path / "a repository")


def links(root, raw=()):
    snapshot = snapshot_at(root, "HEAD")
    with stored_objects(root, cache=False) as objects, unpacked(root, "HEAD") as tree:
        return list(stage_links(Ground(snapshot.lock, objects, tree), dict(raw)))


def faults(root):
    return {link.name: link.found for link in links(root) if link.verdict == "broken"}


def commit(root):
    git(root, "commit", "--quiet", "--all", "--message", "edited")


def edit_lock(root, stage, kind, place, md5):
    lock = yaml.safe_load((root / "dvc.lock").read_text())
    next(entry for entry in lock["stages"][stage][kind] if entry["path"] == place)["md5"] = md5
    (root / "dvc.lock").write_text(yaml.safe_dump(lock))
    commit(root)


def test_stages_that_read_what_others_made_and_git_keeps_hold(root):
    names = ["masks@plate-pit", "generate@plate-pit", "validate@plate-pit"]
    assert [(link.name, link.verdict) for link in links(root)] == [(f"stage {name}", "ok") for name in names]
    assert links(root)[1].found.startswith("1 inputs, 2 code files and folders, its parameters")


def test_code_that_was_not_committed_when_a_stage_ran_is_named(root):
    (root / "code.txt").write_text("tried out")
    keep(root, "another")
    (root / "code.txt").write_text("the code")
    commit(root)
    (told,) = faults(root).items()
    assert told[0] == "stage generate@plate-pit" and told[1].startswith("code.txt: it read ")


def test_parameters_that_are_not_those_it_read_are_named(root):
    (root / "params.yaml").write_text("run: {seed: 1, rate: 1e-5}\n")
    commit(root)
    assert faults(root)["stage masks@plate-pit"] == "params.yaml: run in git is not what it read"


@pytest.mark.parametrize("text", [None, "a: ["])
def test_parameters_that_cannot_be_read_are_no_reason_to_stop(root, text):
    (root / "params.yaml").unlink()
    if text:
        (root / "params.yaml").write_text(text)
    commit(root)
    assert len(faults(root)) == 3 and "its parameters are not in git" in faults(root)["stage masks@plate-pit"]


def test_a_number_is_the_same_however_it_is_written(root):
    (root / "params.yaml").write_text("run: {seed: 0, rate: 1e-5}\n")
    commit(root)
    assert faults(root) == {}


def test_an_input_that_is_not_what_the_stage_before_made_is_named(root):
    edit_lock(root, "generate@plate-pit", "deps", "data/masks/plate/pit.parquet", "0" * 32)
    assert f"data/masks/plate/pit.parquet: it read {'0' * 32}" in faults(root)["stage generate@plate-pit"]


@pytest.mark.parametrize("place", ["data/pairs/plate", "data/pairs/plate/pit/more", "data/pairs/plate/pit/0"])
def test_so_is_one_above_below_or_within_an_output(root, place):
    edit_lock(root, "validate@plate-pit", "deps", place, "0" * 32)
    assert faults(root)["stage validate@plate-pit"].startswith(f"{place}: it read {'0' * 32}, and there is ")


def test_an_input_that_nobody_has_is_named_unless_it_is_raw(root):
    git(root, "rm", "--quiet", "seed.txt")
    commit(root)
    assert faults(root)["stage masks@plate-pit"] == "seed.txt: neither git nor another stage's output has it"
    assert {link.verdict for link in links(root, {"plate": "seed.txt"}.items())} == {"ok"}


def test_stages_whose_inputs_cannot_be_listed_are_unchecked(root):
    md5 = snapshot_at(root, "HEAD").lock.output("generate@plate-pit").md5
    (root / ".remote/files/md5" / md5[:2] / md5[2:]).unlink()
    assert [link.verdict for link in links(root)] == ["ok", "ok", "unchecked"]
