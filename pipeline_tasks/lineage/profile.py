"""Profiles: named sets of parameters that belong together, written into params.yaml, where DVC and people see them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.files import replace_text
from pipeline_tasks.params import Params
from pipeline_tasks.yaml_files import describe, read_yaml

PROFILES = Path("profiles")


def apply_profile(root: Path, name: str) -> list[str]:
    """Set the keys of profiles/NAME.yaml in params.yaml, whose comments stay; return what changed, a line each.

    Raises ConfigError for an unknown profile, or for keys or values that params.yaml must not have; then nothing is
    written.
    """
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    known = sorted(path.stem for path in (root / PROFILES).glob("*.yaml"))
    if name not in known:
        raise ConfigError(f"no profile '{name}'; there are {', '.join(known)} (in {PROFILES}/)")
    profile, path = root / PROFILES / f"{name}.yaml", root / "params.yaml"
    read_yaml(path, "a profile changes it")
    values = parse_yaml_for_update(path.read_text(), str(path))
    changed = list(_set(values, read_yaml(profile, "name another"), ""))
    try:
        Params.model_validate(values)
    except ValidationError as error:
        raise ConfigError(describe(profile, error)) from error
    if changed:
        replace_text(path, dumps_yaml(values))
    return changed


def _set(values: Any, changes: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Change `values` in place, key by key; yield 'section.key: old -> new'."""
    for key, new in changes.items():
        old = values.get(key)
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            yield from _set(old, new, f"{prefix}{key}.")
        elif old != new:
            values[key] = new
            yield f"{prefix}{key}: {old} -> {new}"
