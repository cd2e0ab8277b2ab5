"""Where the embedded Airflow lives: .airflow/ with its configuration, secrets, database and logs."""

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.request import getproxies

from pipeline_tasks.errors import ConfigError, DefectlineError

MARKER = "DEFECTLINE_SERVICES"
"""Environment variable that every process started here inherits: the path of its .airflow/ folder."""
OPENLINEAGE = "AIRFLOW__OPENLINEAGE__"
"""How the settings of Airflow's OpenLineage provider begin: the only ones of the caller's Airflow that are kept."""
_TRANSPORTS = (
    *(f"{OPENLINEAGE}{name}" for name in ("TRANSPORT", "CONFIG_PATH", "CONFIG_CONN_ID")),
    *("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT"),
)
"""How the variables begin with which a user says where lineage events go."""


class HeadlessError(DefectlineError):
    """Airflow could not be started, reached or stopped."""


@dataclass(frozen=True)
class Home:
    """The embedded Airflow of one repository."""

    root: Path
    """The repository, absolute."""

    @property
    def folder(self) -> Path:
        """AIRFLOW_HOME."""
        return self.root / ".airflow"

    @property
    def logs(self) -> Path:
        """Logs of the tasks."""
        return self.folder / "logs"

    @property
    def state(self) -> Path:
        """What `up` left running."""
        return self.folder / "running.json"

    def service_log(self, name: str) -> Path:
        """Return the log of a service."""
        return self.logs / "services" / f"{name}.log"

    @property
    def events(self) -> Path:
        """Where lineage events go, a line of JSON each, unless the user has set up something else."""
        return self.folder / "openlineage.jsonl"

    def environment(self) -> dict[str, str]:
        """Return the environment of the services: of the caller's Airflow settings only OPENLINEAGE, all of ours."""
        theirs = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW_")}
        theirs |= {key: value for key, value in os.environ.items() if key.startswith(OPENLINEAGE)}
        return {
            **self._lineage(theirs),
            **theirs,
            "AIRFLOW_HOME": str(self.folder),
            "DEFECTLINE_ROOT": str(self.root),
            MARKER: str(self.folder),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONUNBUFFERED": "1",
            "SPT_NOENV": "1",  # Airflow retitles its processes; keep their environment, and so the marker, readable
            "no_proxy": ",".join(filter(None, [getproxies().get("no"), "127.0.0.1", "localhost"])),
        }

    def _lineage(self, theirs: dict[str, str]) -> dict[str, str]:
        """Return settings under which tasks tell OpenLineage what they do, and no server out of reach holds one up."""
        settings = {"EXECUTE_IN_THREAD": "True", "EXECUTION_TIMEOUT": "5"}
        if not theirs.get("OPENLINEAGE_NAMESPACE"):
            settings["NAMESPACE"] = theirs.get("DEFECTLINE_NAMESPACE") or "defectline"
        if not any(value and key.startswith(_TRANSPORTS) for key, value in theirs.items()):
            settings |= self._transport()
        return {OPENLINEAGE + key: value for key, value in settings.items()}

    def _transport(self) -> dict[str, str]:
        """Return the user's openlineage.yml, which the provider does not look for by itself, or else the file."""
        for folder in (self.root, Path.home() / ".openlineage"):
            if (folder / "openlineage.yml").is_file():
                return {"CONFIG_PATH": str(folder / "openlineage.yml")}
        return {"TRANSPORT": json.dumps({"type": "file", "log_file_path": str(self.events), "append": True})}

    def prepare(self, port: int) -> None:
        """Write the configuration for an API server on `port` of 127.0.0.1, and create or migrate the database."""
        self.service_log("any").parent.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._write_configuration(port)
        self._migrate()

    def _write_configuration(self, port: int) -> None:
        secret = self._secrets()
        sections: dict[str, dict[str, object]] = {
            "core": {
                "dags_folder": Path(__file__).parents[1],
                "execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
                "executor": "LocalExecutor",
                "fernet_key": secret["fernet_key"],
                "hostname_callable": "socket.gethostname",
                "load_examples": False,
                "parallelism": 4,
                "simple_auth_manager_all_admins": True,
            },
            "api": {
                "base_url": f"http://127.0.0.1:{port}",
                "host": "127.0.0.1",
                "maximum_page_limit": 1000,
                "port": port,
                "secret_key": secret["secret_key"],
                "workers": 1,
            },
            "api_auth": {"jwt_secret": secret["jwt_secret"]},
            "dag_processor": {"parsing_processes": 1},
            "logging": {"namespace_levels": "http.access=WARNING"},
            "scheduler": {"scheduler_idle_sleep_time": 0.5},
            "workers": {"min_heartbeat_interval": 1},  # also how late the end of a task is noticed
        }
        lines = [
            f"[{name}]\n" + "".join(f"{key} = {str(value).replace('%', '%%')}\n" for key, value in options.items())
            for name, options in sections.items()
        ]
        _write_private(self.folder / "airflow.cfg", "\n".join(lines))

    def _secrets(self) -> dict[str, str]:
        path = self.folder / "secrets.json"
        if not path.exists():
            fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
            others = {name: secrets.token_urlsafe(48) for name in ("jwt_secret", "secret_key")}
            _write_private(path, json.dumps({"fernet_key": fernet, **others}))
        return dict(json.loads(path.read_text()))

    def _migrate(self) -> None:
        """Create or migrate Airflow's database unless this version has done so."""
        done, current = self.folder / "migrated", version("apache-airflow-core")
        if done.exists() and done.read_text() == current:
            return
        log = self.service_log("migrate")
        with log.open("w") as output:
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            status = subprocess.run(
                command, cwd=self.root, env=self.environment(), stdout=output, stderr=output, check=False
            )
        if status.returncode != 0:
            raise HeadlessError(f"Airflow's database could not be made; see {log}, or delete {self.folder}")
        done.write_text(current)


def choose_port(requested: int | None) -> int:
    """Return `requested`, or a free port of 127.0.0.1. Raises ConfigError if the requested one is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", requested or 0))
        except (OSError, OverflowError) as error:
            raise ConfigError(f"port {requested} of 127.0.0.1: {error}; name another one, or none") from error
        return int(probe.getsockname()[1])


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
