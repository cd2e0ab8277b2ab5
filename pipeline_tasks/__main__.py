"""The command line: `defectline COMMAND`. Stages load, run and save in commands/; heavy imports wait until one is called."""

import sys

import typer

from pipeline_tasks.errors import DefectlineError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def main() -> None:
    """Run the command line; an expected error prints its message and exits with status 1."""
    try:
        app()
    except DefectlineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
