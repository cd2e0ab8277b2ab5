"""The command line: `defectline COMMAND`. Every command is a function in commands/; heavy imports wait inside it."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import cast

import typer

from pipeline_tasks.commands.repro import CRASHED
from pipeline_tasks.errors import DefectlineError, refusals_named, without_secrets

COMMANDS = (
    "sample",
    "prior",
    "profile",
    "catalog",
    "ingest",
    "prompts",
    "pretrain",
    "train",
    "masks",
    "part",
    "generate",
    "validate",
    "choose",
    "evaluate",
    "repro",
    "node",
    "publish",
    "register",
    "promote",
    "retrain",
    "audit",
    "trace",
    "compare",
    "withdraw",
    "export",
    "kubeflow",
)

LIBRARIES = {"TRANSFORMERS_VERBOSITY": "error", "OPENBLAS_NUM_THREADS": "1"}
"""Environment for libraries, unless the user has set it: they tell no more than anybody needs, and NumPy's sums are the
same on machines with other numbers of cores (torch's threads are in params.yaml)."""


def main() -> None:
    """Run the command line; an expected error prints its message and exits with its status, a crash with CRASHED."""
    for name, value in LIBRARIES.items():
        os.environ.setdefault(name, value)
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    for name in COMMANDS:
        app.command(name)(_function(name))
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # unwind: temporary files are removed
    try:
        with refusals_named():
            app()
    except DefectlineError as error:
        print(f"error: {without_secrets(str(error))}", file=sys.stderr)
        sys.exit(error.status)
    except Exception:
        traceback.print_exc()
        sys.exit(CRASHED)


def _function(name: str) -> Callable[..., None]:
    """Return a command's function. `evaluate` is the pipeline's stage for a --product; people give it a folder."""
    as_stage = any(argument.startswith("--product") for argument in sys.argv)
    module = "protocol" if name == "evaluate" and not as_stage else name
    return cast(Callable[..., None], getattr(import_module(f"pipeline_tasks.commands.{module}"), name))


if __name__ == "__main__":
    main()
