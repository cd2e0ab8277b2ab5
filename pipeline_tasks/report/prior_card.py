"""The card of the prior that ships, in Markdown as Hugging Face has it."""

from collections.abc import Mapping
from typing import Any

from pipeline_tasks.report.markdown import fill_card
from pipeline_tasks.report.words import plain

KINDS = {"width": "width of the defect", "defect": "defect", "texture": "surface"}


def render_prior_card(prior: Mapping[str, Any], training: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return the card from prior.json, training.json and metrics.json; the same values give the same card."""
    front = {
        "license": "apache-2.0",
        "library_name": "diffusers",
        "pipeline_tag": "image-to-image",
        "tags": ["synthetic", "defect", "inpainting", "flow-matching"],
    }
    return fill_card(
        "prior_card.md",
        front,
        prior=prior,
        training=training,
        megabytes=sum(file["bytes"] for file in prior["files"].values()) / 1e6,
        found=found,
        tables={words: [[plain(name), f"{v:.3f}"] for name, v in found[kind].items()] for kind, words in KINDS.items()},
    )
