"""Prompts: a text per defect of a product and, with CLIP, per real defect image (METHODS section 1).

`template`: CAGen section 4. `semantic`: AnomalyAlign gives the aim, phrases that describe the image; the bank of
phrases and the greedy rule here are ours. `disentangled`: DefectDiffu section 3.2, of unified names.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.images.codec import Mask, Pixels, decode_image, decode_mask
from pipeline_tasks.params import Prompts
from pipeline_tasks.prompts import ProductNames, fusion_prompt
from pipeline_tasks.schema import Sample
from pipeline_tasks.splits.guard import of_base
from pipeline_tasks.yaml_files import read_yaml

Similarity = Callable[[Sequence[str]], NDArray[np.float64]]
"""N texts -> their cosine similarities [N] with one image."""
Look = Callable[[Pixels, Mask], Similarity]
"""Image [H, W, 3] and defect mask [H, W] -> how similar texts are to the defect."""


def run(params: Prompts, product: str, defects: Sequence[str]) -> dict[str, str]:
    """Return {defect: prompt}. Underscores in names become spaces. Raises ConfigError for an unknown placeholder."""
    return {defect: _prompt(params.template, [], defect, product) for defect in defects}


def disentangle(params: Prompts, product: str, defects: Sequence[str]) -> tuple[dict[str, str], ProductNames]:
    """Return {defect: fusion prompt} and the names it is made of: DefectDiffu section 3.2 and Table 2.

    A defect's unified name is that of params.names, else that of unified_names.yaml, else its own.
    """
    shipped: Mapping[str, Any] = read_yaml(Path(__file__).with_name("unified_names.yaml"), "install defectline again")
    unified = shipped.get(product, {}) | params.names.get(product, {})
    names = ProductNames(_words(product), {defect: _words(unified.get(defect, defect)) for defect in defects})
    return {defect: fusion_prompt(names.product, name) for defect, name in names.defects.items()}, names


def check_zero_shot(params: Prompts, catalog: Catalog) -> None:
    """Raise ConfigError if a product has real defects under the unified name of one it is said never to have shown."""
    for item in catalog.defects.values():
        if item.source == item.product:
            continue
        name = disentangle(params, item.source, [item.defect])[1].defects[item.defect]
        own = [d.defect for d in catalog.defects.values() if d.source == d.product == item.product]
        for defect, known in disentangle(params, item.product, own)[1].defects.items():
            if known == name:
                raise ConfigError(
                    f"params.yaml: zero_shot: '{item.defect}' of '{item.source}' is learned as '{name}', and so is "
                    f"'{defect}' of '{item.product}'; remove the entry, or name one otherwise in prompts.names"
                )


def describe(
    params: Prompts, product: str, samples: Iterable[Sample], look: Look, bank: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return {source_path: prompt} of the real defects among the base `samples`, each with its own phrases of `bank`.

    Phrases stand before the defect's name in the template, in the order of their choice: 'dark, elongated crack tile'.
    Raises LeakageError for a sample outside the base split, ConfigError as `run`.
    """
    prompts = {}
    for sample in of_base(samples, "prompts"):
        if sample.mask is not None and sample.mask_area_px > 0:
            similarity = look(decode_image(sample.image), decode_mask(sample.mask))
            phrases = choose_phrases(similarity, bank, params, sample.defect, product)
            prompts[sample.source_path] = _prompt(params.template, phrases, sample.defect, product)
    return prompts


def choose_phrases(
    similarity: Similarity, bank: Mapping[str, Sequence[str]], params: Prompts, defect: str, product: str
) -> list[str]:
    """Return phrases of `bank`, at most one a category, chosen one by one: the one that raises the similarity most.

    Ends at params.max_phrases or when none raises the prompt's similarity by params.min_gain; the first of equal ones
    in the bank is taken.
    """
    chosen: list[str] = []
    open_categories = list(bank)
    best = float(similarity([_prompt(params.template, [], defect, product)])[0])
    while open_categories and len(chosen) < params.max_phrases:
        candidates = [(category, phrase) for category in open_categories for phrase in bank[category]]
        texts = [_prompt(params.template, [*chosen, phrase], defect, product) for _, phrase in candidates]
        scores = similarity(texts)
        first = int(np.argmax(scores))
        if scores[first] - best < params.min_gain:
            break
        best = float(scores[first])
        category, phrase = candidates[first]
        chosen.append(phrase)
        open_categories.remove(category)
    return chosen


def _prompt(template: str, phrases: Sequence[str], defect: str, product: str) -> str:
    described = " ".join(filter(None, [", ".join(phrases), _words(defect)]))
    try:
        return template.format(defect=described, product=_words(product))
    except (AttributeError, KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"params.yaml: prompts.template '{template}' is not usable ({error}); "
            "only {defect} and {product} may stand in it"
        ) from error


def _words(name: str) -> str:
    return name.replace("_", " ")
