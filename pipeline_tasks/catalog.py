"""catalog.yaml: which products and defects there are. dvc.yaml fans its stages out over it."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.schema import GOOD
from pipeline_tasks.yaml_files import describe, read_yaml, to_yaml

SHELL_CHARACTERS = frozenset('"$`\\\n')
"""dvc.yaml puts paths between double quotes in a command, where these mean something else."""
UNKNOWN_LICENCE = "unknown"
LICENCE_CHARACTERS = 200
"""Longest name of a licence."""
PARTS = "data/parts"
"""Where the parts of defects lie, see dvc.yaml: PARTS/product/defect/number."""
WITHOUT_PARTS = "data/masks/{product}/{defect}.refused.json"
"""What stands in for the folder of the parts of a defect that is made in one piece: DVC wants a path that is there."""


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


class _Made(_Entry):
    """What is made of a defect of one product, as it is seen on `source`: that product, or another one (zero-shot)."""

    product: Name
    source: Name
    generator: Name
    prompts: Annotated[FolderPath, Field(description="as the generator's: of the product and of the source")]
    defect: Annotated[str, AfterValidator(_check_defect)]


class Part(_Made):
    """One of `parts` parts of a defect's pairs, from 0: a stage of its own, which may run on a machine of its own."""

    part: NonNegativeInt
    parts: PositiveInt


class Defect(_Made):
    """One defect of one product, made in one piece or put together of `parts`: the folder they are in."""

    parts: FolderPath

    @model_validator(mode="before")
    @classmethod
    def _in_one_piece(cls, given: Any) -> Any:
        """Complete an entry as they were before there were parts."""
        if isinstance(given, dict) and given.keys() >= {"product", "defect"}:
            return {"parts": WITHOUT_PARTS.format_map(given)} | given
        return given

    def in_parts(self, number: int) -> "Defect":
        """Return the defect made in so many parts; 0: in one piece."""
        path = f"{PARTS}/{self.product}/{self.defect}" if number else WITHOUT_PARTS.format(**dict(self))
        return self.model_copy(update={"parts": path})

    def parts_of(self, number: int) -> "dict[str, Part]":
        """Return so many parts of the defect, by their keys."""
        own = self.model_dump(exclude={"parts"})
        return {f"{self.product}-{self.defect}-{part}": Part(**own, part=part, parts=number) for part in range(number)}


class Catalog(_Entry):
    """The whole of catalog.yaml. A defect's key is '{product}-{defect}', a part's '{product}-{defect}-{part}'."""

    products: Annotated[dict[Name, Product], Field(min_length=1)]
    generators: Annotated[dict[Name, Generator], Field(min_length=1)]
    defects: Annotated[dict[str, Defect], Field(min_length=1)]
    parts: dict[str, Part] = {}

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

    @model_validator(mode="after")
    def _parts_match(self) -> "Catalog":
        number = Counter((part.product, part.defect) for part in self.parts.values())
        made = {key: item.in_parts(number[item.product, item.defect]) for key, item in self.defects.items()}
        parts = {k: part for d in made.values() for k, part in d.parts_of(number[d.product, d.defect]).items()}
        if wrong := [*_differing(self.defects, made), *_differing(self.parts, parts)]:
            raise ValueError(
                f"parts: they do not go with the defects, see '{wrong[0]}'; write the catalog again with "
                "`defectline catalog FOLDER --parts NUMBER`"
            )
        return self

    def in_parts(self, number: int) -> "Catalog":
        """Return the catalog with each defect made in so many parts; 1: in one piece."""
        several = number if number > 1 else 0
        defects = {key: defect.in_parts(several) for key, defect in self.defects.items()}
        parts = {key: part for defect in defects.values() for key, part in defect.parts_of(several).items()}
        return self.model_copy(update={"defects": defects, "parts": parts})

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


def _differing(ours: Mapping[str, _Entry], theirs: Mapping[str, _Entry]) -> list[str]:
    return sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))


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
