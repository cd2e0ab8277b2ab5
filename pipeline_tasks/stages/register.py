"""Register: what a version shows to people and tells MLflow."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.params import Params
from pipeline_tasks.report.contents import DefectContents, Head, ProductContents
from pipeline_tasks.report.page import render
from pipeline_tasks.report.pictures import contact_sheet, draw_location, window_around
from pipeline_tasks.report.quarantine import render_quarantine
from pipeline_tasks.report.strength import strength_figures


def run(head: Head, products: Sequence[ProductContents]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a version's report as (name, content): its two pages, and a contact sheet for each defect."""
    yield "report.html", render(head, products).encode()
    yield "quarantine.html", render_quarantine(head, products).encode()
    for product in products:
        for defect in product.defects:
            if sheet := _contact_sheet(defect):
                yield f"samples/{product.product}-{defect.defect}.jpg", sheet


def _contact_sheet(contents: DefectContents) -> bytes | None:
    """Return normal image, generated image, mask outline, and enlarged defect of every example, a row each."""
    rows = []
    for example in contents.examples():
        image, mask = decode_image(example.pair.image), decode_mask(example.pair.mask)
        zoom = window_around(mask).of(image)
        rows.append([decode_image(example.normal), image, draw_location(image, mask), zoom])
    return contact_sheet(rows) if rows else None


def flat_params(params: Params) -> dict[str, str]:
    """Return every parameter as text under its dotted key."""
    return dict(_leaves(params.model_dump(mode="json", by_alias=True), ""))


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def metrics(products: Sequence[ProductContents]) -> dict[str, float]:
    """Return every arm's scores, pairs and strength trials by defect, failed expectations, each under its product."""
    found: dict[str, float] = {}
    for product in products:
        name = product.product
        for arm, scores in product.evaluation.get("arms", {}).items():
            found |= _scores(f"{name}/{arm}", scores)
            for defect, by_defect in (scores.get("per_defect") or {}).items():
                found |= _scores(f"{name}/{arm}/{defect}", by_defect)
        found |= {f"{name}/pairs/{defect}": float(made) for defect, made in product.gate["counts"]["pairs"].items()}
        for contents in product.defects:
            figures = strength_figures(contents.trials())
            found |= {f"{name}/strength/{contents.defect}/{figure}": value for figure, value in figures.items()}
        found[f"{name}/gate/failed_expectations"] = float(sum(not e["success"] for e in product.gate["expectations"]))
    return found


def _scores(prefix: str, scores: Mapping[str, Any]) -> dict[str, float]:
    """Return mean and std of every score; those that do not apply (null) are left out."""
    parts = ("mean", "std")
    given = {name: score for name, score in scores.items() if isinstance(score, Mapping)}
    return {
        f"{prefix}/{name}_{p}": score[p] for name, score in given.items() for p in parts if score.get(p) is not None
    }
