"""report.html of a version: one file that needs no other, for the people who will train on the pairs."""

from collections.abc import Sequence
from typing import Any

from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.report.charts import loss_chart
from pipeline_tasks.report.contents import DefectContents, Example, Head, ProductContents
from pipeline_tasks.report.pictures import full, located, window_around, zoomed, zoomed_outline
from pipeline_tasks.report.quarantine import histogram
from pipeline_tasks.report.split import split_section
from pipeline_tasks.report.strength import strength_section
from pipeline_tasks.report.tables import checks, count_table, score_tables, shortfalls
from pipeline_tasks.report.templates import fill
from pipeline_tasks.schema import ATTENTION, Pair, Sample

MASK_ORIGINS = {
    "transformed": "transformed from",
    "image": "interpolated from",
    "latent": "interpolated in latent space from",
    "perlin": "of noise, appearance from",
    ATTENTION: "generated with the image (attention of the defect blocks)",
}
"""What the kinds of masks are called, before the names of their parents, if any."""


def render(head: Head, products: Sequence[ProductContents]) -> str:
    """Return the report as HTML. The same contents give the same page."""
    return fill("report.html", head=head, products=[_product(product) for product in products])


def _product(contents: ProductContents) -> dict[str, Any]:
    lines = checks(contents.gate)
    return {
        "name": contents.product,
        "generator": contents.generator,
        "verdict": contents.evaluation.get("verdict", {}),
        "budget": contents.evaluation.get("budget", ""),
        "seeds": max((len(arm.get("seeds", [])) for arm in contents.evaluation.get("arms", {}).values()), default=0),
        "scores": score_tables(contents.evaluation),
        "counts": count_table(contents.gate),
        "checks": lines,
        "warnings": sum(line.state == "warning" for line in lines),
        "docs": contents.docs,
        "shortfall": shortfalls(contents.gate),
        "split": split_section(contents.members, contents.gate["counts"]),
        "set_aside": histogram(contents.set_aside),
        "set_aside_total": len(contents.set_aside),
        "chart": loss_chart(contents.curve),
        "defects": [_defect(defect, contents.product) for defect in contents.defects],
    }


def _defect(contents: DefectContents, product: str) -> dict[str, Any]:
    return {
        "name": contents.defect,
        "learned_on": contents.source if contents.source != product else "",
        "pairs": [_pair(example) for example in contents.examples()],
        "real": [_real(sample) for sample in contents.real()],
        "strength": strength_section(contents.trials()),
    }


def _pair(example: Example) -> dict[str, Any]:
    pair = example.pair
    image, normal, mask = decode_image(pair.image), decode_image(example.normal), decode_mask(pair.mask)
    window = window_around(mask)
    return {
        "id": pair.pair_id,
        "mask": _mask_origin(pair),
        "normal": _normal_origin(pair),
        "scores": _scores(pair),
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


def _scores(pair: Pair) -> str:
    return (
        f"change and mask agree by {pair.alignment:.2f}, IoU {pair.label_iou:.2f} · "
        f"likeness to the nearest real one, {pair.nearest_base}: {pair.nearest_similarity:.2f}"
    )


def _scales(pair: Pair) -> str:
    """Return what guided the pair and how its attention mask fits what changed, as far as that is known."""
    known = {
        "w_p {:g}": pair.product_scale,
        "w_d {:.2f}": pair.defect_scale,
        "attention mask overlaps what changed by {:.2f} (IoU)": pair.agreement,
    }
    return ", ".join(words.format(value) for words, value in known.items() if value is not None)


def _real(sample: Sample) -> dict[str, str]:
    image = decode_image(sample.image)
    mask = decode_mask(sample.mask or b"")
    return {
        "path": sample.source_path,
        "located": located(image, mask),
        "zoomed": zoomed(image, window_around(mask)),
    }
