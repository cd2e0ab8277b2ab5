"""On the PYTHONPATH of a test's subprocesses: what speaks to MLflow or reads pairs is replaced; neither is needed."""

import sys
from pathlib import Path
from types import ModuleType


def register() -> None:
    """Stand in for the real one."""
    print("registered")


def retrain(product: str = "") -> None:
    """Stand in for the real one."""
    print(f"the detectors of {product} are retrained")


def audit(version: str, product: str = "") -> None:
    """Stand in for the real one: a file in control/ breaks a product's lineage."""
    if Path("control", f"break-{product}").exists():
        sys.exit(f"error: the {version} of {product}: 1 link is broken")
    print(f"the lineage of {product} is intact")


def write_record(*_: object) -> str:
    """Stand in for the real one, and return an MD5."""
    return "0" * 32


for module, function in (
    ("commands.register", register),
    ("commands.retrain", retrain),
    ("commands.audit", audit),
    ("lineage.record", write_record),
):
    fake = ModuleType(f"pipeline_tasks.{module}")
    setattr(fake, function.__name__, function)
    sys.modules[fake.__name__] = fake
