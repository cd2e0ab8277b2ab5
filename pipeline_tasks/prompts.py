"""The text prompts of products, by defect and, where they describe one image, by sample (METHODS section 1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline_tasks.errors import DataError
from pipeline_tasks.schema import GOOD
from pipeline_tasks.storage import read_json


@dataclass(frozen=True)
class ProductNames:
    """A product in words, and defect ('good' too) -> its unified name, shared by like defects of other products."""

    product: str
    defects: Mapping[str, str]


@dataclass(frozen=True)
class PromptBook:
    """Prompts of one product or of several.

    defects: product -> defect ('good' too) -> prompt. samples: product -> source_path -> prompt, where there is one.
    words: product -> names, where the prompts are disentangled.
    """

    defects: Mapping[str, Mapping[str, str]]
    samples: Mapping[str, Mapping[str, str]]
    words: Mapping[str, ProductNames] = field(default_factory=dict)

    def of(self, product: str, defect: str, source_path: str) -> str:
        """Return the prompt of a sample, else of its defect. Raises DataError if there is none."""
        try:
            return self.samples.get(product, {}).get(source_path) or self.defects[product][defect]
        except KeyError as error:
            raise DataError(f"no prompt for '{defect}' on '{product}'; re-run the prompts stage") from error

    def names(self, product: str, defect: str) -> tuple[str, str]:
        """Return the product in words and the unified name of its defect ('good' too), of which prompts are made.

        Raises DataError if there are none (DefectDiffu section 3.2).
        """
        try:
            return self.words[product].product, self.words[product].defects[defect]
        except KeyError as error:
            raise DataError(
                f"no names for '{defect}' on '{product}'; set prompts.kind to disentangled in params.yaml and re-run "
                "the prompts stage"
            ) from error

    def borrow(self, product: str, defect: str, source: str) -> "PromptBook":
        """Return the book in which `product` has `defect` as `source` has it, for zero-shot (DefectDiffu Eq. 12).

        The same book where `source` is the product itself. Raises DataError as `names`.
        """
        if source == product:
            return self
        target, name = self.names(product, GOOD)[0], self.names(source, defect)[1]
        names = ProductNames(target, {**self.words[product].defects, defect: name})
        texts = {**self.defects[product], defect: fusion_prompt(target, name)}
        return replace(self, defects={**self.defects, product: texts}, words={**self.words, product: names})

    def all(self) -> list[str]:
        """Return every prompt once, sorted."""
        return sorted(
            {text for book in (self.defects, self.samples) for texts in book.values() for text in texts.values()}
        )


def fusion_prompt(product: str, defect: str) -> str:
    """Return the prompt of a defect on a product, both in words (DefectDiffu section 3.2, c_f)."""
    return f"A photo of {defect} {product}"


def mask_prompt(prompt: str) -> str:
    """Return the prompt of a defect's mask seen as an image (latent masks), from that of the defect."""
    return f"mask of {prompt}"


def read_prompts(path: Path) -> PromptBook:
    """Read what the prompts stage wrote: a product's file, or a folder of such. Raises DataError if it is missing."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    books: dict[str, Any] = {file.stem: read_json(file) for file in files}
    return PromptBook(
        {p: b["defects"] for p, b in books.items()},
        {p: b["samples"] for p, b in books.items()},
        {p: ProductNames(**b["names"]) for p, b in books.items() if b.get("names")},
    )
