"""`defectline node REPOSITORY REVISION -- ARGS`: any command of `defectline` on a machine that has nothing yet."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def node(
    repository: Annotated[str, typer.Argument(help="URL of the git repository")],
    revision: Annotated[str, typer.Argument(help="commit or branch")],
    command: Annotated[list[str], typer.Argument(help="command of defectline and its options, after --")],
    checkout: Annotated[Path, typer.Option(help="folder of the clone; one that is there is brought up to date")] = Path(
        "checkout"
    ),
    pull: Annotated[bool, typer.Option("--pull", help="fetch all data that the revision names first")] = False,
) -> None:
    """Clone a repository, and run a command there with the code of that revision.

    DEFECTLINE_REMOTE names the DVC remote, if it is not the one in the repository's configuration.
    """
    from pipeline_tasks.lineage.checkout import check_out, share_remote
    from pipeline_tasks.lineage.node import pull as pull_data

    folder = checkout.absolute()
    check_out(repository, revision, folder)
    share_remote(folder)
    if pull:
        pull_data(folder, [])
    os.chdir(folder)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "pipeline_tasks", *command], {**os.environ, "PYTHONPATH": path})  # noqa: S606 - no shell
