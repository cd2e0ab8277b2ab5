"""YAML files that people edit: read and written as DVC does, wrong keys told in one line."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline_tasks.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as a number, as DVC does; PyYAML alone, which follows YAML 1.1, takes it for text."""


class _Dumper(yaml.SafeDumper):
    """Quotes text that starts with a digit: YAML 1.1 and 1.2 (DVC) differ over what 0893, 1_000 or 1e-3 are."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if re.match(r"[-+.]?\d", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), [*"-+0123456789"]
)


def read_yaml(path: Path, if_missing: str) -> Any:
    """Read a YAML file. Raises ConfigError saying what to do `if_missing`, or in which line it is not YAML."""
    try:
        with path.open("rb") as stream:
            return yaml.load(stream, _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: missing; {if_missing}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def to_yaml(value: Any) -> str:
    """Return `value` as YAML that `read_yaml` and DVC read alike."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120)


def describe(source: Path, error: ValidationError) -> str:
    """Return one line naming `source`, each wrong key and what is wrong with it."""
    return f"{source}: " + "; ".join(_complaint(**problem) for problem in error.errors(include_url=False))


def _complaint(*, loc: tuple[int | str, ...], type: str, msg: str, input: Any, **_: Any) -> str:
    key = ".".join(str(part) for part in loc if part != "[key]") or "the file"
    match type:
        case "extra_forbidden":
            reason = "unknown key, correct or remove it"
        case "missing":
            reason = "missing, add it"
        case "model_type" | "dict_type":
            reason = f"should hold keys with values, found {input!r}"
        case "value_error":
            reason = msg.removeprefix("Value error, ")
        case _:
            reason = f"{msg}, found {input!r}"
    return f"{key}: {reason}"
