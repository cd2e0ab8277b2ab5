"""Stages of the tiny pipeline on clones that share an origin and a remote."""

import shutil

import pytest
import yaml

from pipeline_tasks.errors import ConfigError, DataError, DefectlineError
from pipeline_tasks.lineage import node
from pipeline_tasks.lineage.node import reproduce_on_node, whole_run
from pipeline_tasks.lineage.repro import StageCrashed

ORDER = ("ingest@plate", "generate@plate-pit", "generate@plate-dent", "validate@plate")


def entries(root):
    return yaml.safe_load((root / "dvc.lock").read_text())["stages"]


def run_all(clone, run, names=("a", "b")):
    return [reproduce_on_node(clone(names[i % len(names)]), stage, run) for i, stage in enumerate(ORDER)]


def test_two_clones_make_what_one_makes(clone, refreshed, shared):
    assert run_all(clone, "run 1") == ["ran"] * 4
    root = clone("c")
    with whole_run(root, "run 1"):
        assert entries(root) == entries(refreshed)
        assert (root / "data/validation/plate/1").read_text() == (refreshed / "data/validation/plate/1").read_text()
    assert not [*(shared / "remote/defectline/runs").rglob("*.yaml")]


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


def test_later_runs_make_what_has_changed_and_no_node_takes_yesterdays(clone, commit, monkeypatch):
    run_all(clone, "run 1")
    root = clone("a")
    with whole_run(root, "run 1"):
        commit(root, "Publish")
    before = entries(root)
    with monkeypatch.context() as patch:
        patch.setattr(node, "pull", lambda *_: pytest.fail("data were fetched"))
        assert run_all(clone, "nothing has changed", names=("x", "y")) == ["unchanged"] * 4
    text = (root / "dvc.yaml").read_text()
    (root / "dvc.yaml").write_text(text.replace("validate-${key}", "check-${key}"))
    commit(root, "Another command")
    assert run_all(clone, "code", names=("x", "y")) == ["unchanged", "unchanged", "unchanged", "ran"]
    (root / "raw/plate/2.txt").write_text("another sample")
    for command in (("add", "--quiet", "raw/plate"), ("push", "--quiet", "raw/plate")):
        node.run_dvc(root, *command)
    commit(root, "New sample")
    assert run_all(clone, "data", names=("v", "w")) == ["ran"] * 4
    root = clone("v")
    with whole_run(root, "data"):
        now = entries(root)
    assert all(now[stage]["outs"] != before[stage]["outs"] for stage in ORDER)


def test_what_a_node_pushed_before_it_died_is_restored(clone, monkeypatch):
    reproduce_on_node(clone("a"), "ingest@plate", "run 1")
    monkeypatch.setattr(node.Handoff, "give", lambda *_: (_ for _ in ()).throw(StageCrashed("the power went")))
    with pytest.raises(StageCrashed):
        reproduce_on_node(clone("a"), "generate@plate-pit", "run 1")
    monkeypatch.undo()
    monkeypatch.setenv("DEFECTLINE_REMOTE", str(clone("b").parent / "remote"))
    shutil.rmtree(clone("a"))
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
