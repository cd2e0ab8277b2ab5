"""The names of the products, for those that need no more: a scheduler parses its DAG files every few seconds."""

from pathlib import Path

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.yaml_files import read_yaml


def product_names(root: Path) -> list[str]:
    """Return the products of catalog.yaml at `root`, in its order; nothing else in it is looked at.

    Raises ConfigError if it cannot be read or has none.
    """
    path, remedy = root / "catalog.yaml", "write it with `defectline catalog FOLDER`"
    catalog = read_yaml(path, remedy)
    products = catalog.get("products") if isinstance(catalog, dict) else None
    if not isinstance(products, dict) or not products:
        raise ConfigError(f"{path}: it names no products; {remedy}")
    return [str(name) for name in products]
