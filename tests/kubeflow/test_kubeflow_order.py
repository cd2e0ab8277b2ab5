"""The compiled pipeline, run by KFP's local runner with a `defectline` that only tells what it is asked to do."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeline_tasks.lineage.graph import load_graph

pytestmark = pytest.mark.kubeflow
REPOSITORY = Path(__file__).parents[2]
GRAPH = load_graph(REPOSITORY)
TELLS = """\
#!{python}
import sys
from contextlib import nullcontext
from pathlib import Path
with Path({told!r}).open("a") as told:
    told.write(" ".join(sys.argv[1:]) + "\\n")
sys.exit(75 if {failing!r} in sys.argv else 0)
"""


@pytest.fixture
def run(compile_graph, run_locally, tmp_path, tiny_pipeline):
    """Runs the pipeline, `failing` being a stage that fails; returns what its steps asked of defectline, in order."""
    told, command, pipeline = tmp_path / "told", tmp_path / "bin" / "defectline", tmp_path / "pipeline.yaml"

    def asked(failing: str = "", **parameters: str) -> list[list[str]]:
        command.parent.mkdir()
        command.write_text(TELLS.format(python=sys.executable, told=str(told), failing=failing))
        command.chmod(0o755)
        subprocess.run(["git", "branch", "--move", "main"], cwd=tiny_pipeline, check=True)
        compile_graph(REPOSITORY, pipeline, repository=tiny_pipeline.as_uri())
        pipeline.write_text(pipeline.read_text().replace("backoffDuration: 10s", "backoffDuration: 0s"))
        ending = pytest.raises(AssertionError, match=r"finished with status.*FAILURE") if failing else nullcontext()
        with ending:
            run_locally(tmp_path / "ran", pipeline, command.parent, **parameters)
        return [line.split() for line in told.read_text().splitlines()]

    return asked


def run_of(words: list[str]) -> str:
    return words[words.index("--run") + 1]


def test_every_stage_comes_after_those_it_reads(run, tiny_pipeline):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tiny_pipeline, capture_output=True, text=True, check=True)
    asked = run()
    names = [words[5] for words in asked[:-1]]
    assert sorted(names) == sorted(stage.name for stage in GRAPH.stages)
    for stage in GRAPH.stages:
        assert all(names.index(name) < names.index(stage.name) for name in stage.upstream)
    (job,) = {run_of(words) for words in asked}
    assert job.isdigit()  # the runner's own number of the job
    begin = ["node", tiny_pipeline.as_uri(), head.stdout.strip(), "--"]
    assert all(words[:4] == begin for words in asked)
    assert asked[-1][4:] == ["publish", "--run", job, "--branch", "main"]


def test_a_run_is_named_and_begun_where_its_parameters_say(run):
    for words in run(run="nightly", revision="abc", branch="next"):
        assert words[2] == "abc"
        assert run_of(words) == "nightly"
    assert words[-1] == "next"


def test_a_stage_that_fails_is_tried_again_and_ends_the_pipeline(run):
    failing = GRAPH.stages[-1].name
    asked = run(failing=failing)
    assert [words[5] for words in asked[-4:]].count(failing) == 3
    assert "publish" not in {words[4] for words in asked}
