"""`python -m dags.headless refresh | retrain | audit | up | down`: the embedded Airflow, from the repository's root."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from dags.headless.home import Home
from dags.headless.refresh import Order, audit, down, refresh, retrain, up
from pipeline_tasks.errors import DefectlineError

INTERRUPTED = 130


def main() -> int:
    """Run one command and return the exit status."""
    options = _parse()
    home = Home(Path(os.environ.get("DEFECTLINE_ROOT") or Path(__file__).parents[2]).resolve())
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it on purpose
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        return _run(options, home)
    except KeyboardInterrupt:
        print("interrupted; what this command had started is stopped, and finished stages are kept", file=sys.stderr)
        return INTERRUPTED
    except DefectlineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace, home: Home) -> int:
    if options.command == "refresh":
        order = Order(options.data, options.layout, options.shared, options.profile, options.licence, options.parts)
        return 0 if refresh(home, order, options.port) else 1
    if options.command == "retrain":
        return 0 if retrain(home, options.port) else 1
    if options.command == "audit":
        return 0 if audit(home, options.port) else 1
    if options.command == "up":
        up(home, options.port, options.mlflow_port)
    else:
        down(home)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dags.headless", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (refresh, retrain, audit, up, down):
        chosen = commands.add_parser(name := command.__name__, help=(command.__doc__ or "").splitlines()[0])
        if name != "down":
            chosen.add_argument("--port", type=int, help="of Airflow's pages; a free one is chosen otherwise")
        if name == "refresh":
            chosen.add_argument("--data", help="folder of raw samples to catalog first")
            chosen.add_argument("--layout", help="how it lies there, instead of what is detected")
            chosen.add_argument("--licence", help="of what lies there, for the cards")
            chosen.add_argument("--shared", action="store_true", help="with one generator for all products in it")
            chosen.add_argument("--parts", type=int, help="of each defect's pairs, made side by side")
            chosen.add_argument("--profile", help="set the parameters of profiles/PROFILE.yaml first")
        if name == "up":
            chosen.add_argument("--mlflow-port", type=int, help="of MLflow's pages; a free one is chosen otherwise")
    return parser.parse_args()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Unwind once; what is stopped on the way out is not interrupted again."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
