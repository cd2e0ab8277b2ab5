"""The drawn world: materials, lamps, cameras and defects, read from the YAML files beside this module."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pipeline_tasks.drawing.defect_recipes import DefectBook, DefectRecipe
from pipeline_tasks.drawing.texture_recipes import CameraRecipe, Studio, TextureBook, TextureRecipe
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.section import Section
from pipeline_tasks.yaml_files import describe, read_yaml

TEXTURES, DEFECTS = "textures.yaml", "defects.yaml"
HERE = Path(__file__).parent

Book = TypeVar("Book", bound=Section)


@dataclass(frozen=True)
class World:
    """Everything that scenes are drawn from; recipes by name."""

    studio: Studio
    camera: CameraRecipe
    textures: dict[str, TextureRecipe]
    defects: dict[str, DefectRecipe]

    @cached_property
    def texture_weights(self) -> dict[str, float]:
        """How often each texture is drawn against the others."""
        return {name: recipe.weight for name, recipe in self.textures.items()}

    @cached_property
    def defect_weights(self) -> dict[str, float]:
        """How often each defect is drawn against the others."""
        return {name: recipe.weight for name, recipe in self.defects.items()}


@lru_cache(maxsize=1)
def load_world(folder: Path = HERE) -> World:
    """Read `folder`'s textures.yaml and defects.yaml. Raises ConfigError naming the file and every offending key."""
    book, defects = _read(folder / TEXTURES, TextureBook), _read(folder / DEFECTS, DefectBook)
    return World(book.studio, book.camera, book.textures, defects.defects)


def _read(path: Path, book: type[Book]) -> Book:
    try:
        return book.model_validate(read_yaml(path, "it comes with the package: install that again"))
    except ValidationError as error:
        raise ConfigError(describe(path, error)) from error
