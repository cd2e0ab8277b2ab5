"""The stage graph of a checkout in which nothing can be written."""

import json
import os
import tempfile
from pathlib import Path

import pytest

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage import graph as graphs
from pipeline_tasks.lineage.graph import CACHE, graph_digest, load_graph


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """An empty folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def read_only(tiny_pipeline, temporary, monkeypatch):
    """The tiny pipeline, in which this user may write nothing."""
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tiny_pipeline and allowed(path, mode))
    return tiny_pipeline


@pytest.fixture
def never_resolved(monkeypatch):
    """Lets nothing resolve a graph after the call."""

    def start():
        monkeypatch.setattr(graphs, "_resolve", lambda _: pytest.fail("resolved again"))

    return start


def listing(root: Path) -> dict[str, tuple[int, int]]:
    found = [path for path in root.rglob("*") if ".git" not in path.parts]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in found}


def test_nothing_is_written_to_it_and_it_is_resolved_once(read_only, temporary, never_resolved):
    before = listing(read_only)
    graph = load_graph(read_only)
    assert graph.stages and listing(read_only) == before
    never_resolved()
    assert load_graph(read_only) == graph
    kept = [path for path in temporary.rglob("*") if path.is_file()]
    assert [path.name for path in kept] == [f"graph-{graph.digest}.json"], "and DVC has left nothing behind"


def test_one_that_can_be_written_gets_its_cache_and_nothing_else(tiny_pipeline, temporary):
    before = listing(tiny_pipeline)
    load_graph(tiny_pipeline)
    new = {Path(path).relative_to(tiny_pipeline) for path in listing(tiny_pipeline).keys() - before.keys()}
    assert new == {CACHE, CACHE.parent} and [*temporary.iterdir()] == []


def test_data_and_other_pipelines_in_the_workspace_are_not_looked_at(tiny_pipeline, temporary):
    alone = load_graph(tiny_pipeline)
    (tiny_pipeline / CACHE).unlink()
    (tiny_pipeline / "data" / "odd").mkdir(parents=True)
    (tiny_pipeline / "data" / "odd" / "dvc.yaml").write_text("no pipeline: [")
    assert load_graph(tiny_pipeline) == alone


def test_where_nothing_can_be_kept_it_is_resolved_each_time(read_only, temporary):
    (temporary / f"defectline-{os.getuid()}").write_text("in the way of the folder")
    assert load_graph(read_only) == load_graph(read_only)


def test_what_another_user_has_put_among_the_temporary_files_is_not_believed(read_only, temporary, monkeypatch):
    monkeypatch.setenv("LOGNAME", "somebody")
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    forged = temporary / "defectline-4242" / f"graph-{graph_digest(read_only)}.json"
    forged.parent.mkdir()
    forged.write_text(json.dumps({"digest": graph_digest(read_only), "stages": []}))
    assert load_graph(read_only).stages


def test_what_dvc_refuses_is_told_of_the_repository_and_not_of_the_copy(tiny_pipeline, temporary):
    text = (tiny_pipeline / "dvc.yaml").read_text()
    (tiny_pipeline / "dvc.yaml").write_text(text.replace("foreach: ${defects}", "foreach: ${nothing}"))
    with pytest.raises(ConfigError, match=r"'dvc\.yaml': Could not find 'nothing'") as raised:
        load_graph(tiny_pipeline)
    assert str(tiny_pipeline / "dvc.yaml") in str(raised.value) and "temporary" not in str(raised.value)
