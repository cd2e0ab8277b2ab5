"""What the report shows of a pair: where it comes from, its scores, and its pictures."""

from typing import Any

from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.report.contents import Example
from pipeline_tasks.report.pictures import full, located, window_around, zoomed, zoomed_outline
from pipeline_tasks.schema import ATTENTION, Pair

MASK_ORIGINS = {
    "transformed": "transformed from",
    "image": "interpolated from",
    "latent": "interpolated in latent space from",
    "perlin": "of noise, appearance from",
    ATTENTION: "generated with the image (attention of the defect blocks)",
}
"""What the kinds of masks are called, before the names of their parents, if any."""


def pair_view(example: Example) -> dict[str, Any]:
    """Return the pair's id, origins, scores, and six pictures: before, after and with the mask, whole then enlarged."""
    pair = example.pair
    image, normal, mask = decode_image(pair.image), decode_image(example.normal), decode_mask(pair.mask)
    window = window_around(mask)
    return {
        "id": pair.pair_id,
        "mask": _mask_origin(pair),
        "normal": _normal_origin(pair),
        "agreement": f"change and mask agree by {pair.alignment:.2f}, IoU {pair.label_iou:.2f}",
        "likeness": f"likeness to the nearest real one, {pair.nearest_base}: {pair.nearest_similarity:.2f}",
        "scales": _scales(pair),
        "area": pair.mask_area_px,
        "change": pair.change_inside,
        "pictures": [
            full(normal),
            full(image),
            located(image, mask),
            zoomed(normal, window),
            zoomed(image, window),
            zoomed_outline(image, mask, window),
        ],
    }


def _mask_origin(pair: Pair) -> str:
    parents = dict.fromkeys(parent for parent in (pair.parent_a, pair.parent_b) if parent is not None)
    return f"{MASK_ORIGINS[pair.mask_kind]} {' and '.join(parents)}".rstrip()


def _normal_origin(pair: Pair) -> str:
    if pair.normal_path is None:
        return "normal image: generated too"
    return f"on {pair.normal_path}{' (defect removed)' if pair.normal_derived else ''}"


def _scales(pair: Pair) -> str:
    """Return what guided the pair and how its attention mask fits what changed, as far as that is known."""
    known = {
        "w_p {:g}": pair.product_scale,
        "w_d {:.2f}": pair.defect_scale,
        "attention mask overlaps what changed by {:.2f} (IoU)": pair.agreement,
    }
    return ", ".join(words.format(value) for words, value in known.items() if value is not None)
