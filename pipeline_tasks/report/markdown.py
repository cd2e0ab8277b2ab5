"""Cards in Markdown: the templates *.md beside this file, and the front matter that model hubs read."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline_tasks.catalog import UNKNOWN_LICENCE
from pipeline_tasks.yaml_files import to_yaml

HUB_LICENCES = frozenset(
    (
        "apache-2.0", "mit", "cc", "cc0-1.0", "odc-by", "odbl", "pddl", "gfdl", "unlicense", "unknown",
        "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nd-4.0",
        "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
        "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0",
    )
)  # fmt: skip
"""The identifiers that Hugging Face knows, of those that data have; any other licence is 'other', with its name."""
_FENCE = "---\n"
_SPECIAL = re.compile(r"([\\*\[\]<>|])")


def fill_card(template: str, front: Mapping[str, Any], **values: Any) -> str:
    """Return a card: `front` as its front matter, then the template called `template`; the same values, the same card.

    In the template the filter `md` keeps free text from being taken for Markdown, `row` makes a table's row of texts.
    """
    environment = Environment(  # noqa: S701 - Markdown, not HTML; what shows it takes out scripts
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"md": escaped, "row": _row}
    body = environment.get_template(template).render(**values)
    return f"{_FENCE}{to_yaml(dict(front))}{_FENCE}\n{body}"


def body_of(card: str) -> str:
    """Return a card without its front matter."""
    return card.split(f"\n{_FENCE}", 1)[1].lstrip()


def escaped(text: object) -> str:
    r"""Return text as Markdown that shows just it, on one line, in tables too: 'a \| b'."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"


def licence_fields(licences: Iterable[str]) -> dict[str, str]:
    """Return a front matter's entries for the licences of source data, by the identifiers of Hugging Face."""
    names = list(dict.fromkeys(licences))
    if len(names) == 1 and names[0].lower() in HUB_LICENCES:
        return {"license": names[0].lower()}
    return {"license": "other", "license_name": " and ".join(names)}


def licence_words(licences: Mapping[str, str]) -> list[str]:
    """Return a sentence on the licence of each product's source data."""
    return [
        f"{product}: unknown. Nobody has said so far under which licence its source data may be used; ask their owner "
        "before these files are passed on."
        if licence == UNKNOWN_LICENCE
        else f"{product}: {licence}"
        for product, licence in licences.items()
    ]
