"""On the PYTHONPATH of a test's subprocesses: registration is replaced, so that no MLflow is needed."""

import sys
from types import ModuleType


def register() -> None:
    """Stand in for the real one."""
    print("registered")


fake = ModuleType("pipeline_tasks.commands.register")
fake.register = register
sys.modules[fake.__name__] = fake
