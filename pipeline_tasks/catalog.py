"""catalog.yaml: which products and defects there are. dvc.yaml fans its stages out over it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.schema import GOOD
from pipeline_tasks.yaml_files import describe, read_yaml, to_yaml

SHELL_CHARACTERS = frozenset('"$`\\\n')
"""dvc.yaml puts paths between double quotes in a command, where these mean something else."""
UNKNOWN_LICENCE = "unknown"
LICENCE_CHARACTERS = 200
"""Longest name of a licence."""


def check_name(name: str) -> str:
    """Return `name` if it can name a product or a defect, and so a file. Raises ValueError if it cannot."""
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", name):
        raise ValueError(f"'{name}' is no name: use 1 to 64 letters (a-z, A-Z), digits and underscores")
    return name


def _check_defect(name: str) -> str:
    if check_name(name) == GOOD:
        raise ValueError(f"'{GOOD}' means normal images; give the defect another name")
    return name


def _check_path(path: str) -> str:
    if SHELL_CHARACTERS & set(path):
        raise ValueError(f"{path!r} holds a character that a shell would interpret; rename the folder")
    return path


def check_licence(licence: str) -> str:
    """Return `licence` if it can name one in a line of text. Raises ValueError if it cannot."""
    if not licence.strip() or not licence.isprintable() or len(licence) > LICENCE_CHARACTERS:
        raise ValueError(
            f"{licence[:LICENCE_CHARACTERS]!r} names no licence: give an SPDX identifier (CC-BY-4.0) or a few words, "
            f"in one line of at most {LICENCE_CHARACTERS} characters"
        )
    return licence


Name = Annotated[str, AfterValidator(check_name)]
FolderPath = Annotated[str, Field(min_length=1), AfterValidator(_check_path)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Product(_Entry):
    """Where a product's raw samples are."""

    path: Annotated[FolderPath, Field(description="absolute, or relative to the repository")]
    layout: Annotated[str, Field(description="name of the folder layout, see layouts/")]
    licence: Annotated[str, AfterValidator(check_licence)] = UNKNOWN_LICENCE
    """Of the samples: an SPDX identifier, or in words. No stage depends on it."""


class Generator(_Entry):
    """What one generator learns from: paths of a product's base samples and prompts, or of the folders of several."""

    base: FolderPath
    prompts: FolderPath


class Defect(_Entry):
    """One defect of one product, made as it is seen on `source`: that product, or another one (zero-shot)."""

    product: Name
    source: Name
    generator: Name
    prompts: Annotated[FolderPath, Field(description="as the generator's: of the product and of the source")]
    defect: Annotated[str, AfterValidator(_check_defect)]


class Catalog(_Entry):
    """The whole of catalog.yaml. A defect's key is '{product}-{defect}'."""

    products: Annotated[dict[Name, Product], Field(min_length=1)]
    generators: Annotated[dict[Name, Generator], Field(min_length=1)]
    defects: Annotated[dict[str, Defect], Field(min_length=1)]

    @model_validator(mode="after")
    def _keys_match(self) -> "Catalog":
        for key, item in self.defects.items():
            if key != f"{item.product}-{item.defect}":
                raise ValueError(f"defects: key '{key}' should read '{item.product}-{item.defect}'")
            for role, name in (("product", item.product), ("source", item.source)):
                if name not in self.products:
                    raise ValueError(f"defects: '{key}' names {role} '{name}', which is not among the products")
            if item.generator not in self.generators:
                raise ValueError(f"defects: '{key}' names generator '{item.generator}', which is not among them")
        return self

    def defects_of(self, product: str) -> list[str]:
        """Return the names of a product's defects, zero-shot ones too, in the catalog's order."""
        return [d.defect for d in self.defects.values() if d.product == product]

    def generator_of(self, product: str) -> str:
        """Return the name of the generator that makes a product's pairs."""
        return next(d.generator for d in self.defects.values() if d.product == product)

    def licensed(self, licences: Mapping[str, str]) -> "Catalog":
        """Return the catalog with these licences, by product; the other products keep theirs."""
        products = {
            name: product.model_copy(update={"licence": licences.get(name, product.licence)})
            for name, product in self.products.items()
        }
        return self.model_copy(update={"products": products})

    def to_yaml(self) -> str:
        """Return the catalog as YAML text."""
        return to_yaml(self.model_dump())


def slug(text: str) -> str:
    """Return `text` as a name, other characters as underscores. Raises ConfigError if nothing is left."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")[:64]
    if not name:
        raise ConfigError(f"'{text}' holds no letter or digit to make a name of; rename the folder")
    return name


def load_catalog(path: Path = Path("catalog.yaml")) -> Catalog:
    """Read and check catalog.yaml. Raises ConfigError naming the file and the offending keys."""
    try:
        return Catalog.model_validate(read_yaml(path, "write it with `defectline catalog FOLDER`"))
    except ValidationError as error:
        raise ConfigError(describe(path, error)) from error
