"""What the parts of the transformer read: product and defect apart, and both together (DefectDiffu section 3.2)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipeline_tasks.diffusion.base_model import BaseModel
from pipeline_tasks.prompts import fusion_prompt
from pipeline_tasks.schema import GOOD

OPENING = "A photo of"


@dataclass(frozen=True)
class PartText:
    """Texts for one part: embedding [B, L, W]; tokens, bool [B, L], False on padding."""

    embedding: Tensor
    tokens: Tensor

    def to(self, device: torch.device, dtype: torch.dtype) -> "PartText":
        """Return the texts on `device`, their embeddings in `dtype`."""
        return PartText(self.embedding.to(device, dtype), self.tokens.to(device))


@dataclass(frozen=True)
class PartTexts:
    """Texts for the three parts; name: bool [B, L], the tokens of the defect's name within `defect`."""

    background: PartText
    defect: PartText
    fusion: PartText
    name: Tensor

    def to(self, device: torch.device, dtype: torch.dtype) -> "PartTexts":
        """Return the texts on `device`, their embeddings in `dtype`."""
        background, defect, fusion = (part.to(device, dtype) for part in (self.background, self.defect, self.fusion))
        return PartTexts(background, defect, fusion, self.name.to(device))


@dataclass(frozen=True)
class Names:
    """What is to be seen, in words: a product, '' for none (the empty c_p), and a defect, 'good' for none."""

    product: str
    defect: str

    def without_product(self) -> "Names":
        """Return the names with the empty product."""
        return replace(self, product="")

    def without_defect(self) -> "Names":
        """Return the names of the normal product."""
        return replace(self, defect=GOOD)


def texts_of(names: Names) -> tuple[str, str, str]:
    """Return the prompts c_p, c_d and c_f of the background, defect and fusion part; c_p is '' without a product."""
    background = f"{OPENING} {names.product}" if names.product else ""
    return background, f"{OPENING} {names.defect}", fusion_prompt(names.product, names.defect).rstrip()


@dataclass(frozen=True)
class TextBook:
    """Every text that double-free training and guidance need of some names, embedded once.

    numbers: prompt -> its row in `texts`, P rows on the CPU in float32, all of one length: that of the longest.
    opening: tokens before the name of a defect. one_prompt: all parts read the fusion prompt (the paper's ablation).
    """

    texts: PartText
    numbers: dict[str, int]
    opening: int
    one_prompt: bool

    @classmethod
    def of(cls, base: BaseModel, names: Iterable[Names], *, one_prompt: bool) -> "TextBook":
        """Embed the texts of `names`, also without their product, their defect (good) or both.

        CLIP's text encoder is causal, so that cutting an embedding after its end token changes nothing before it.
        """
        forms = (
            form for full in names for some in (full, full.without_defect()) for form in (some, some.without_product())
        )
        prompts = [*dict.fromkeys(text for form in forms for text in texts_of(form))]
        counts = torch.tensor([_count(base, prompt) for prompt in prompts])
        length = int(counts.max())
        embedding = torch.cat([base.embed([prompt])[:, :length].float().cpu() for prompt in prompts])
        texts = PartText(embedding, torch.arange(length) < counts[:, None])
        return cls(texts, {prompt: row for row, prompt in enumerate(prompts)}, _count(base, OPENING) - 1, one_prompt)

    def rows(self, names: Sequence[Names]) -> PartTexts:
        """Return the texts of B names, [B, L, W] each. Raises KeyError for names that the book was not made for."""
        rows = torch.tensor([[self.numbers[text] for text in texts_of(one)] for one in names])
        background, defect, fusion = rows.T
        name = self._name(defect)
        if self.one_prompt:
            background = defect = fusion
        return PartTexts(self._part(background), self._part(defect), self._part(fusion), name)

    def _part(self, rows: Tensor) -> PartText:
        return PartText(self.texts.embedding[rows], self.texts.tokens[rows])

    def _name(self, defect: Tensor) -> Tensor:
        """Return where the defect's name is: after the opening, before the end; the same in the fusion prompt."""
        tokens = self.texts.tokens[defect]
        places = torch.arange(tokens.shape[1])
        return (places >= self.opening) & (places < tokens.sum(dim=1, keepdim=True) - 1)


def _count(base: BaseModel, prompt: str) -> int:
    """Return the number of tokens of a prompt, start and end included."""
    longest = base.text_encoder.config.max_position_embeddings
    return len(base.tokenizer(prompt, truncation=True, max_length=longest).input_ids)
