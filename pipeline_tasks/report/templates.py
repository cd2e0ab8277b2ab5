"""The HTML templates beside this file, which keep each page in one file that needs no other."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def fill(template: str, **values: Any) -> str:
    """Return the template called `template` as HTML. All values are escaped; the same values give the same page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    return environment.get_template(template).render(**values)


def visible(text: str) -> str:
    r"""Return `text` with escapes for what would not be seen or would turn the text around it: 'a\nb.png'."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
