"""How like real defects the pairs are: a map of embeddings (CAGen's t-SNE figure), and measures by network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_tasks.report.charts import OUTLINES, scale, shape_at
from pipeline_tasks.report.tables import Cell, Table
from pipeline_tasks.report.words import SOURCES, joined, plain

WIDTH, HEIGHT, MARGIN = 620, 440, 14
RADIUS = 4.0
KINDS = {"normal": "normal images", "real": "real defects"}
COUNTS = ("pairs", "real", "base")
"""Entries of a defect's measures that count what was compared."""
ABOUT = ("network", "reasons")
"""Those that say how it was measured, and why some of it was not."""
MEASURES = {
    "kid": ("KID × 1000", "0: alike"),
    "fid": ("FID", "0: alike; large for few images"),
    "is": ("IS", "1: all of one kind"),
    "lpips": ("LPIPS", "between pairs; 0: all the same"),
    "ic_lpips": ("IC-LPIPS", "between pairs near one base image; 0: all the same"),
    "perceptual": ("perceptual distance", "between pairs; 0: all the same"),
    "ic_perceptual": ("perceptual distance within clusters", "between pairs near one base image; 0: all the same"),
    "nearest_base": ("distance to the nearest base image", "in medians among base images; near 0: copies"),
    "closer_to_base": ("near copies", "share nearer to a base image than any two of these are"),
    "mask_iou": ("mask IoU", "with the most alike base mask, one centred on the other; 1: a copy"),
}
"""By measure, what a person calls it, and how to read it."""


@dataclass(frozen=True)
class Cloud:
    """The points of one kind, as SVG paths, and the path of its marker in the key, in a square of 16 px."""

    name: str
    number: int
    marks: Sequence[str]
    key: str


@dataclass(frozen=True)
class Embedding:
    """The map, its axes without meaning: `network` gave the features."""

    network: str
    clouds: Sequence[Cloud]
    width: int = WIDTH
    height: int = HEIGHT


def embedding_map(embedding: Mapping[str, Any] | None) -> Embedding | None:
    """Return the map with a shape and a colour for each kind of image; None without points."""
    points: Sequence[Mapping[str, Any]] = (embedding or {}).get("points", [])
    if embedding is None or not points:
        return None
    across, down = [point["x"] for point in points], [point["y"] for point in points]
    x_at = scale(min(across), max(across), MARGIN, WIDTH - MARGIN)
    y_at = scale(min(down), max(down), HEIGHT - MARGIN, MARGIN)
    kinds = sorted(dict.fromkeys(point["kind"] for point in points), key=_place)
    clouds = [
        _cloud(kind, [(x_at(point["x"]), y_at(point["y"])) for point in points if point["kind"] == kind])
        for kind in kinds
    ]
    return Embedding(embedding["network"], clouds)


def _place(kind: str) -> int:
    """Return the number of a kind, the same in every report: real images first, the generator's last."""
    order = [*KINDS, *SOURCES]
    return order.index(kind) if kind in order else len(order)


def _cloud(kind: str, places: Sequence[tuple[float, float]]) -> Cloud:
    number = _place(kind)
    shape = list(OUTLINES)[number]
    name = KINDS.get(kind) or f"{SOURCES.get(kind, kind)} pairs"
    return Cloud(name, number, [shape_at(shape, x, y, RADIUS) for x, y in places], shape_at(shape, 8, 8, RADIUS))


@dataclass(frozen=True)
class Measures:
    """Measures as rows, defects as columns; a sentence names what was compared by which network."""

    sentence: str
    table: Table


def generation_measures(generation: Mapping[str, Mapping[str, Any]] | None) -> Measures | None:
    """Return the measures by defect, each under the name of its network; None without any."""
    by_defect = generation or {}
    names = dict.fromkeys(n for found in by_defect.values() for n, value in found.items() if _is_measure(n, value))
    if not names:
        return None
    networks = list(dict.fromkeys(found["network"] for found in by_defect.values() if found.get("network")))
    rows = [("images compared", [_images(found) for found in by_defect.values()])]
    notes = ["pairs / real defects of the test split / of the base set"]
    for name in names:
        words, note = _words(name)
        rows.append((words, [Cell(_value(found.get(name))) for found in by_defect.values()]))
        notes.append(note)
    by = f" Features: {joined(networks)}." if networks else ""
    sentence = f"A measure is comparable only with the same measure of the same network.{by}"
    return Measures(sentence, Table("", list(by_defect), rows, notes))


def _is_measure(name: str, value: Any) -> bool:
    return name not in (*COUNTS, *ABOUT) and (value is None or isinstance(value, int | float))


def _images(found: Mapping[str, Any]) -> Cell:
    return Cell(" / ".join(_value(found.get(kind)) for kind in COUNTS))


def _words(name: str) -> tuple[str, str]:
    """Return 'KID × 1000 (resnet18 plate)' for 'kid_resnet18_plate', and how to read it."""
    if name in MEASURES:
        return MEASURES[name]
    for measure, (words, note) in MEASURES.items():
        if name.startswith(f"{measure}_"):
            return f"{words} ({plain(name.removeprefix(f'{measure}_'))})", note
    return plain(name), ""


def _value(value: Any) -> str:
    if value is None:
        return "n/a"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
