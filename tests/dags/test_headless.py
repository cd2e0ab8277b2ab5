"""The launcher from outside, driving a real Airflow."""

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from told import Told

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory, make_pipeline):
    return make_pipeline(tmp_path_factory.mktemp("headless") / "tiny pipeline")


@pytest.fixture(scope="module")
def launch(project, environment):
    """Starts the launcher on the project; what it leaves running is stopped at the end."""
    settings = {**environment, "DEFECTLINE_ROOT": str(project)}

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dags.headless", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=REPOSITORY, env=settings, **pipes)

    yield start
    start("down").communicate()


def finish(process):
    output, _ = process.communicate(timeout=180)
    return process.returncode, output


def descendants(project):
    """Every live process that knows of the project."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(project) in process.environ().get("AIRFLOW_HOME", "") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.cmdline())
        except psutil.Error:
            continue
    return found


def query(project, question, *values):
    with sqlite3.connect(project / ".airflow" / "airflow.db") as database:
        return database.execute(question, values).fetchall()


def run_states(project, dag="dataset_refresh"):
    return [state for (state,) in query(project, "select state from dag_run where dag_id = ? order by id", dag)]


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def hang(project, name):
    """Make a stage hang; returns what waits until it does."""
    (project / "control" / f"hang-{name}").touch()

    def wait(process):
        deadline = time.monotonic() + 120
        while not (project / "control" / f"hanging-{name}").exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (project / "control" / f"hang-{name}").unlink()
        (project / "control" / f"hanging-{name}").unlink()

    return wait


def test_what_a_killed_launcher_left_is_cleared_and_a_running_airflow_is_used(project, launch):
    wait = hang(project, "generate-plate-pit")
    refresh = launch("refresh")
    wait(refresh)
    refresh.kill()
    refresh.communicate()
    assert descendants(project), "its services and its stage live on"

    status, output = finish(launch("up"))
    assert (status, run_states(project)) == (0, ["failed"]), output
    assert not any("321" in command for command in descendants(project)), "the stage that hung is gone"
    services = len(descendants(project))

    (project / "control" / "crash-generate-plate-pit").touch()
    status, output = finish(launch("refresh"))
    assert (status, run_states(project)) == (0, ["failed", "success"]), output
    assert "generate@plate-pit               crashed, will be tried again" in output
    assert "3 stages ran, 0 restored from the run-cache, 1 unchanged" in output
    wait_for(lambda: run_states(project, "detector_retraining") == ["success"])  # nothing is refreshed beside it

    status, output = finish(launch("refresh"))
    assert (status, run_states(project)) == (0, ["failed", "success", "success"]), "no run of the schedule's"
    assert "nothing changed: no stage was re-run" in output
    wait_for(lambda: run_states(project, "detector_retraining") == ["success", "success"])  # after either refresh

    status, output = finish(launch("retrain"))
    assert (status, run_states(project, "detector_retraining")) == (0, ["success"] * 3), output
    assert "retraining; Airflow's pages: http://127.0.0.1:" in output
    assert "  retrain@plate                    the detectors of plate are retrained\n" in output

    status, output = finish(launch("audit"))
    assert (status, run_states(project, "lineage_audit")) == (0, ["success"]), output
    assert "  audit@plate                      the lineage of plate is intact\n" in output
    (project / "control" / "break-plate").touch()
    status, output = finish(launch("audit"))
    assert (status, run_states(project, "lineage_audit")) == (1, ["success", "failed"]), output
    told = output.split("audit@plate failed; the end of its log:")[1]
    assert "error: the champion of plate: 1 link is broken\n" in told
    assert "Asset defectline_lineage_broken\n  not run: intact\n  Correct the cause and run this again.\n" in told

    (project / "raw" / "plate" / "2.txt").write_text("another sample")
    (project / "control" / "refuse-validate-plate").touch()
    status, output = finish(launch("refresh"))
    assert (status, run_states(project)[-1]) == (1, "failed")
    told = output.split("validate@plate failed; the end of its log:")[1]
    assert "error: the gate of validate-plate is shut" in told
    assert "not run: publish\n" in told
    (project / "control" / "refuse-validate-plate").unlink()

    services += 1  # the one that tells OpenLineage of a run's beginning and end lives on
    wait_for(lambda: len(descendants(project)) == services)
    assert len(run_states(project, "detector_retraining")) == 3, "none without a published data set"
    status, output = finish(launch("down"))
    assert (status, output, descendants(project)) == (0, f"stopped {services} processes\n", [])

    events = Told(project / ".airflow" / "openlineage.jsonl")
    for job in ("dataset_refresh", "dataset_refresh.validate.plate", "lineage_audit", "lineage_audit.audit.plate"):
        assert events.of(job).keys() == {"START", "COMPLETE", "FAIL"}, job
    assert events.of("detector_retraining.announce").keys() == {"START", "COMPLETE"}


def test_an_interrupted_refresh_leaves_no_process(project, launch):
    wait = hang(project, "validate-plate")
    (project / "raw" / "plate" / "3.txt").write_text("yet another sample")
    refresh = launch("refresh")
    wait(refresh)
    while not any("321" in command for command in descendants(project)):
        assert refresh.poll() is None
        time.sleep(0.1)  # it says that it hangs a moment before it does
    paused = query(project, "select dag_id, is_paused from dag order by dag_id")
    second = finish(launch("refresh"))
    assert second == (
        1,
        f"error: process {refresh.pid} is refreshing, starting or stopping this repository already; "
        "wait for it, or stop it with Ctrl-C where it runs\n",
    )
    refresh.send_signal(signal.SIGINT)
    status, output = finish(refresh)
    assert (status, descendants(project), run_states(project)[-1]) == (130, [], "failed"), output
    resumed = [dag for dag, is_paused in paused if not is_paused]
    assert (resumed, len(paused)) == (["dataset_refresh"], 3), "only `up` lets others follow a refresh or a schedule"
    assert "refreshing; Airflow's pages: http://127.0.0.1:" in output
    assert output.endswith("finished stages are kept\n")
