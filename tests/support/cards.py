"""What cards are made of, and what every card must be, for tests."""

import re
from typing import Any

import yaml
from report_contents import product

from pipeline_tasks.report.dataset_card import CardOrigin, CardProduct, card_product

ORIGIN = CardOrigin("0123456789ab", "3", "f" * 40)
RULING = "When it was registered, the gate made it a champion: Positive in every repeat."


def on_card(ruling: str = RULING, **values: Any) -> CardProduct:
    """Return a plate with 20 pairs of pits and as many of scratches, made of three real samples each."""
    made = {"pairs": {"pit": 20, "scratch": 20}, "made_again": {"pit": 4}, "refused": {}, "shortfall": {}}
    seen = {"rejected": {"pit": {"a copy": 2, "too weak": 1}}, "base": {"good": 9, "pit": 7, "scratch": 5}}
    counts = {"asked_per_defect": 20, **made, **seen, "test": {"good": 2, "pit": 4}}
    gate = {"counts": counts, "expectations": [], "verdict": "passed"}
    return card_product(product(**{"gate": gate, **values}), ruling)


def expectation(name: str, **values: Any) -> dict[str, Any]:
    """Return an entry of the gate, one that holds."""
    entry = {"name": name, "topic": "labels", "sentence": f"{name} holds", "column": "", "defect": "", "success": True}
    return {**entry, "severity": "critical", "threshold": "at least 2", "observed": "7", **values}


def front_of(card: str) -> dict[str, Any]:
    """Return a card's front matter."""
    _, front, _ = card.split("---\n", 2)
    return dict(yaml.safe_load(front))


def check_whole(card: str) -> None:
    """Check that a card has no blank: no cell, list item, heading or code without text, no Python value as such."""
    front, body = card.split("\n---\n", 1)
    assert "null" not in front and "''" not in front
    lines = body.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert "{{" not in line and "{%" not in line and "``" not in line, line
        assert not re.search(r"\b(None|nan|NaN|Undefined)\b|\{\}|\[\]", line), line
        assert not re.fullmatch(r"\s*(-|#+)\s*", line), line
        assert not re.fullmatch(r"- .*:\s*", line) or following.startswith("  - "), line
        if line.startswith("|"):
            assert all(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]), line
    for index in (index for index, line in enumerate(lines) if re.fullmatch(r"\|[-:|]+\|", line)):
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in lines[index - 1 : index + 2]}
        assert len(widths) == 1, lines[index - 1]
