"""The text prompts of products, by defect and, where they describe one image, by sample (METHODS section 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline_tasks.errors import DataError
from pipeline_tasks.storage import read_json


@dataclass(frozen=True)
class PromptBook:
    """Prompts of one product or of several.

    defects: product -> defect ('good' too) -> prompt. samples: product -> source_path -> prompt, where there is one.
    """

    defects: Mapping[str, Mapping[str, str]]
    samples: Mapping[str, Mapping[str, str]]

    def of(self, product: str, defect: str, source_path: str) -> str:
        """Return the prompt of a sample, else of its defect. Raises DataError if there is none."""
        try:
            return self.samples.get(product, {}).get(source_path) or self.defects[product][defect]
        except KeyError as error:
            raise DataError(f"no prompt for '{defect}' on '{product}'; re-run the prompts stage") from error

    def all(self) -> list[str]:
        """Return every prompt once, sorted."""
        return sorted(
            {text for book in (self.defects, self.samples) for texts in book.values() for text in texts.values()}
        )


def mask_prompt(prompt: str) -> str:
    """Return the prompt of a defect's mask seen as an image (latent masks), from that of the defect."""
    return f"mask of {prompt}"


def read_prompts(path: Path) -> PromptBook:
    """Read what the prompts stage wrote: a product's file, or a folder of such. Raises DataError if it is missing."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    books = {file.stem: read_json(file) for file in files}
    return PromptBook({p: b["defects"] for p, b in books.items()}, {p: b["samples"] for p, b in books.items()})
