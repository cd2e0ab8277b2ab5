"""Prompts: one text per defect of a product (METHODS section 1, `template`; CAGen section 4)."""

from collections.abc import Sequence

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.params import Prompts


def run(params: Prompts, product: str, defects: Sequence[str]) -> dict[str, str]:
    """Return {defect: prompt}. Underscores in names become spaces. Raises ConfigError for an unknown placeholder."""
    try:
        return {d: params.template.format(defect=_words(d), product=_words(product)) for d in defects}
    except (AttributeError, KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"params.yaml: prompts.template '{params.template}' is not usable ({error}); "
            "only {defect} and {product} may stand in it"
        ) from error


def _words(name: str) -> str:
    return name.replace("_", " ")
