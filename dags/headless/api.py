"""The part of Airflow's REST API that running a DAG needs, on the loopback interface."""

import json
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

from dags.headless.home import HeadlessError

REFRESH, RETRAINING, AUDIT = "dataset_refresh", "detector_retraining", "lineage_audit"
DAGS = (REFRESH, RETRAINING, AUDIT)
TIMEOUT_S = 30


class NoAnswerError(HeadlessError):
    """The API does not answer, or does not know what it was asked for."""


class Airflow:
    """A client of one API server, for one DAG."""

    def __init__(self, port: int, dag: str = REFRESH) -> None:
        self.port = port
        self.dag = dag
        self.url = f"http://127.0.0.1:{port}"
        self._token = ""

    def for_dag(self, dag: str) -> "Airflow":
        """Return a client of the same server for another DAG."""
        return Airflow(self.port, dag)

    def answers(self) -> bool:
        """Tell whether the API server is ready."""
        try:
            self._call("GET", "/version")
        except NoAnswerError:
            return False
        return True

    def schedules(self) -> bool:
        """Tell whether the scheduler is alive."""
        return bool(self._call("GET", "/monitor/health")["scheduler"]["status"] == "healthy")

    def has_parsed(self, digest: str, since: datetime) -> bool:
        """Tell whether Airflow has, parsed after `since`, the DAG as the stage graph with this digest makes it.

        Raises HeadlessError if the DAG file cannot be parsed.
        """
        try:
            dag = self._call("GET", f"{self._path}/details")
            if datetime.fromisoformat(dag["last_parsed_time"]) > since and digest in (dag["doc_md"] or ""):
                return True
        except NoAnswerError:
            pass
        for error in self._call("GET", "/importErrors")["import_errors"]:
            if datetime.fromisoformat(error["timestamp"]) > since:
                raise HeadlessError(f"{error['filename']} cannot be parsed: {error['stack_trace'].strip()}")
        return False

    def parse_again(self) -> None:
        """Ask for the DAG file to be parsed at once, not at its next turn."""
        token = self._call("GET", self._path)["file_token"]
        self._call("PUT", f"/parseDagFile/{quote(token, safe='')}")

    def warm_up(self) -> None:
        """Let the server build the side of its API that tasks use: seconds of work, before the first task needs it."""
        self._send("GET", "/execution/health")

    def quiesce(self) -> None:
        """Pause the DAG and fail the runs that an earlier Airflow left behind, so that they neither go on nor block."""
        try:
            self.pause(True)
        except NoAnswerError:  # it was never parsed, so it has no runs
            return
        for run in self.active_runs():
            self.fail(run)

    def pause(self, paused: bool) -> None:
        """Pause or resume the DAG."""
        self._call("PATCH", self._path, {"is_paused": paused})

    def provide_pool(self, name: str, slots: int) -> None:
        """Create a pool, or widen one that is smaller: a task that takes more slots than there are never starts."""
        try:
            found = self._call("GET", f"/pools/{name}")
        except NoAnswerError:
            self._call("POST", "/pools", {"name": name, "slots": slots})
        else:
            if found["slots"] < slots:
                kept = {key: found[key] for key in ("description", "include_deferred")}
                self._call("PATCH", f"/pools/{name}", {"pool": name, "slots": slots} | kept)

    def active_runs(self) -> list[str]:
        """Return the ids of the runs that are queued or running."""
        runs = self._call("GET", f"{self._path}/dagRuns?state=queued&state=running")["dag_runs"]
        return [run["dag_run_id"] for run in runs]

    def trigger(self) -> str:
        """Start a run and return its id."""
        return str(self._call("POST", f"{self._path}/dagRuns", {"logical_date": None})["dag_run_id"])

    def fail(self, run: str) -> None:
        """Mark a run and its unfinished tasks as failed, which also stops the running ones."""
        self._call("PATCH", self._of(run), {"state": "failed"})

    def state(self, run: str) -> str:
        """Return the state of a run: queued, running, success or failed."""
        return str(self._call("GET", self._of(run))["state"])

    def tasks(self, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        found: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", f"{self._of(run)}/taskInstances?limit=1000&offset={len(found)}")
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found

    def outcome(self, run: str, task: str) -> str:
        """Return what a finished task's command printed last."""
        return str(self._call("GET", f"{self._of(run)}/taskInstances/{task}/xcomEntries/return_value")["value"])

    @property
    def _path(self) -> str:
        return f"/dags/{self.dag}"

    def _of(self, run: str) -> str:
        return f"{self._path}/dagRuns/{quote(run, safe='')}"

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the API's answer. Raises NoAnswerError if there is none, or it is a refusal."""
        path = f"/api/v2{path}"
        status, answer = self._send(method, path, body)
        if status == HTTPStatus.UNAUTHORIZED:  # no token yet, or it has expired
            self._token = json.loads(self._send("GET", "/auth/token")[1])["access_token"]
            status, answer = self._send(method, path, body)
        if status >= HTTPStatus.BAD_REQUEST:
            raise NoAnswerError(f"{method} {self.url}{path}: {status} {answer.decode(errors='replace')}")
        return json.loads(answer or b"null")

    def _send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, HTTPException) as error:
            raise NoAnswerError(f"{method} {self.url}{path}: {error}") from error
        finally:
            connection.close()
