"""Stages of the tiny pipeline on clones that share an origin and a remote."""

import shutil

import pytest
import yaml

from pipeline_tasks.errors import ConfigError, DataError, DefectlineError
from pipeline_tasks.lineage import node
from pipeline_tasks.lineage.git import run_git
from pipeline_tasks.lineage.node import reproduce_on_node, whole_run
from pipeline_tasks.lineage.prune import prune
from pipeline_tasks.lineage.repro import StageCrashed

ORDER = ("ingest@plate", "generate@plate-pit", "generate@plate-dent", "validate@plate")


def entries(root):
    return yaml.safe_load((root / "dvc.lock").read_text())["stages"]


def run_all(clone, run, names=("a", "b")):
    return [reproduce_on_node(clone(names[i % len(names)]), stage, run) for i, stage in enumerate(ORDER)]


def test_two_clones_make_what_one_makes(clone, shared):
    assert run_all(clone, "run 1") == ["ran"] * 4
    one = clone("one")
    for command in (("pull", "raw/plate"), ("repro", "--quiet")):
        assert node.run_dvc(one, *command).returncode == 0
    root = clone("c")
    with whole_run(root, "run 1"):
        assert entries(root) == entries(one)
        assert (root / "data/validation/plate/1").read_text() == (one / "data/validation/plate/1").read_text()
    kept = {path.name for path in (shared / "remote/defectline/run_cache").iterdir()}
    assert kept == {"ingest", "generate", "validate"}, "for each stage its own, and none of DVC's as a whole"
    assert not (shared / "remote/runs").exists()


def test_a_stage_whose_upstream_has_handed_over_nothing_refuses(clone):
    reproduce_on_node(clone("a"), "ingest@plate", "run 1")
    with pytest.raises(DataError, match="stage 'ingest@plate' has handed over nothing in this run"):
        reproduce_on_node(clone("b"), "generate@plate-pit", "run 2")
    assert not (clone("b") / "data").exists()


def test_another_revision_is_another_run(clone, commit):
    reproduce_on_node(clone("a"), "ingest@plate", "run 1")
    root = clone("b")
    (root / "note.txt").write_text("a change")
    commit(root, "Change")
    with pytest.raises(DataError, match="has handed over nothing"):
        reproduce_on_node(clone("b"), "generate@plate-pit", "run 1")


def published(clone, commit):
    """Run everything once, publish it, and return the clone that has it all."""
    run_all(clone, "run 1")
    root = clone("a")
    with whole_run(root, "run 1"):
        commit(root, "Publish")
        shutil.copytree(root, root.with_name("published"), symlinks=True)
    return root.with_name("published")


def test_later_runs_make_what_has_changed_and_nothing_else(clone, commit, monkeypatch):
    root = published(clone, commit)
    with monkeypatch.context() as patch:
        patch.setattr(node, "pull", lambda *_: pytest.fail("data were fetched"))
        assert run_all(clone, "nothing has changed", names=("x", "y")) == ["unchanged"] * 4
    text = (root / "dvc.yaml").read_text()
    (root / "dvc.yaml").write_text(text.replace("validate-${key}", "check-${key}"))
    commit(root, "Another command")
    assert run_all(clone, "code", names=("x", "y")) == ["unchanged", "unchanged", "unchanged", "ran"]
    (root / "raw/plate/dent.txt").write_text("another sample of dent")
    for command in (("add", "--quiet", "raw/plate"), ("push", "--quiet", "raw/plate")):
        assert node.run_dvc(root, *command).returncode == 0
    commit(root, "New sample")
    assert run_all(clone, "data", names=("x", "y")) == ["ran", "unchanged", "ran", "ran"]
    (root / "raw/plate/dent.txt").write_text("a sample of dent")
    assert node.run_dvc(root, "add", "--quiet", "raw/plate").returncode == 0
    commit(root, "The former sample")
    assert run_all(clone, "data again", names=("x", "y")) == ["unchanged", "unchanged", "unchanged", "restored"]


def test_a_defect_that_is_gone_is_missed_by_those_who_read_it(clone, commit):
    root = published(clone, commit)
    text = (root / "catalog.yaml").read_text()
    (root / "catalog.yaml").write_text("".join(line for line in text.splitlines(True) if "dent" not in line))
    prune(root)
    commit(root, "Forget dent")
    names = ("ingest@plate", "generate@plate-pit", "validate@plate")
    assert [reproduce_on_node(clone("x"), name, "run 2") for name in names] == ["unchanged", "unchanged", "ran"]


def test_a_lock_that_is_half_done_is_completed(clone, commit):
    root = published(clone, commit)
    (root / "raw/plate/dent.txt").write_text("another sample of dent")
    for command in (("add", "raw/plate"), ("repro", "--single-item", "ingest@plate"), ("push",)):
        assert node.run_dvc(root, *command).returncode == 0
    commit(root, "A lock of today and yesterday")
    assert run_all(clone, "run 2", names=("x", "y")) == ["unchanged", "unchanged", "ran", "ran"]


def test_raw_data_may_be_tracked_with_those_of_others(clone, commit):
    root = clone("a")
    assert node.run_dvc(root, "pull", "raw/plate").returncode == 0
    assert node.run_dvc(root, "remove", "raw/plate.dvc").returncode == 0
    assert run_git(root, "rm", "-r", "--quiet", "--cached", "raw").returncode == 0
    for command in (("add", "--quiet", "raw"), ("push", "--quiet")):
        assert node.run_dvc(root, *command).returncode == 0
    commit(root, "All raw data")
    assert reproduce_on_node(clone("b"), "ingest@plate", "run 1") == "ran"


def test_what_a_node_pushed_before_it_died_is_restored(clone, monkeypatch, shared):
    reproduce_on_node(clone("a"), "ingest@plate", "run 1")
    work = shared / "remote/defectline/unfinished/generate/plate-pit"
    work.mkdir(parents=True)
    (work / "state").write_text("begun")
    with monkeypatch.context() as patch, pytest.raises(StageCrashed):
        patch.setattr(node.Handoff, "give", lambda *_: (_ for _ in ()).throw(StageCrashed("the power went")))
        reproduce_on_node(clone("a"), "generate@plate-pit", "run 1")
    assert (work / "state").exists()
    shutil.rmtree(shared / "a")
    assert reproduce_on_node(clone("b"), "generate@plate-pit", "run 1") == "restored"


def test_raw_data_that_no_node_can_have_are_named(clone, commit):
    root = clone("a")
    (root / "raw/plate.dvc").unlink()
    commit(root, "Forget the data")
    with pytest.raises(DataError, match=r"raw/plate: raw data of 'ingest@plate', not on this node.*dvc add raw/plate"):
        reproduce_on_node(clone("b"), "ingest@plate", "run 1")


def test_an_unknown_stage_is_named(clone):
    with pytest.raises(ConfigError, match="no stage 'generate@plate-rust' at this revision"):
        reproduce_on_node(clone("a"), "generate@plate-rust", "run 1")


def test_a_refusal_hands_nothing_over(clone, shared):
    root = clone("a")
    (root / "control").mkdir()
    (root / "control/refuse-ingest-plate").touch()
    with pytest.raises(DefectlineError, match="the gate of ingest-plate is shut"):
        reproduce_on_node(root, "ingest@plate", "run 1")
    assert not (shared / "remote/defectline/runs").exists()
