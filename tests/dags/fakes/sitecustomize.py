"""On the PYTHONPATH of a test's subprocesses: what speaks to MLflow is replaced, so that none is needed."""

import sys
from types import ModuleType


def register() -> None:
    """Stand in for the real one."""
    print("registered")


def retrain(product: str = "") -> None:
    """Stand in for the real one."""
    print(f"the detectors of {product} are retrained")


for command in (register, retrain):
    fake = ModuleType(f"pipeline_tasks.commands.{command.__name__}")
    setattr(fake, command.__name__, command)
    sys.modules[fake.__name__] = fake
