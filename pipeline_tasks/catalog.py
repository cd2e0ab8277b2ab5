"""catalog.yaml: which products and defects there are. dvc.yaml fans its stages out over it."""

import re
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.params import describe

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$", description="letters, digits and underscores")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Product(_Entry):
    """Where a product's raw samples are."""

    path: Annotated[str, Field(min_length=1, description="folder, absolute or relative to the repository")]
    layout: Annotated[str, Field(description="name of the folder layout, see layouts/")]


class Defect(_Entry):
    """One defect of one product."""

    product: Name
    defect: Name


class Catalog(_Entry):
    """The whole of catalog.yaml. A defect's key is '{product}-{defect}'."""

    products: Annotated[dict[Name, Product], Field(min_length=1)]
    defects: Annotated[dict[str, Defect], Field(min_length=1)]

    @model_validator(mode="after")
    def _keys_match(self) -> "Catalog":
        for key, item in self.defects.items():
            if key != f"{item.product}-{item.defect}":
                raise ValueError(f"defects: key '{key}' should read '{item.product}-{item.defect}'")
            if item.product not in self.products:
                raise ValueError(f"defects: '{key}' names product '{item.product}', which is not among the products")
        return self

    def defects_of(self, product: str) -> list[str]:
        """Return the names of a product's defects, in the catalog's order."""
        return [d.defect for d in self.defects.values() if d.product == product]

    def to_yaml(self) -> str:
        """Return the catalog as YAML text."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, default_flow_style=None, width=120)


def slug(text: str) -> str:
    """Return `text` as a name: every run of other characters becomes an underscore. Raises ConfigError if nothing is left."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")[:64]
    if not name:
        raise ConfigError(f"'{text}' holds no letter or digit to make a name of; rename the folder")
    return name


def load_catalog(path: Path = Path("catalog.yaml")) -> Catalog:
    """Read and check catalog.yaml. Raises ConfigError naming the file and the offending keys."""
    try:
        return Catalog.model_validate(yaml.safe_load(path.read_text()))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: missing; write it with `defectline catalog FOLDER`") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        raise ConfigError(describe(path, error)) from error
