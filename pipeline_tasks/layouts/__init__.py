"""Readers of the folder layouts users bring, the most specific first."""

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.layouts import btad, deepcrack, gdxray, kolektor_sdd2, listing, mvtec, plain, visa
from pipeline_tasks.layouts.layout import Layout

LAYOUTS: dict[str, Layout] = {
    module.LAYOUT.name: module.LAYOUT
    for module in (visa, listing, deepcrack, gdxray, kolektor_sdd2, btad, mvtec, plain)
}


def layout(name: str) -> Layout:
    """Return the layout called `name`. Raises ConfigError if there is none."""
    if name not in LAYOUTS:
        raise ConfigError(f"layout '{name}' is unknown; known: {', '.join(LAYOUTS)}; correct catalog.yaml or --layout")
    return LAYOUTS[name]
