"""Register: what a version shows to people and tells MLflow."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.report.contents import DefectContents, Head, History, Previous, ProductContents, Standing
from pipeline_tasks.report.page import render
from pipeline_tasks.report.pictures import contact_sheet, draw_location, window_around
from pipeline_tasks.report.quarantine import render_quarantine
from pipeline_tasks.report.strength import strength_figures
from pipeline_tasks.section import Section

INTERVAL = ("low", "high", "probability")


def run(
    head: Head,
    products: Sequence[ProductContents],
    standings: Sequence[Standing],
    previous: Previous | None,
    params: Mapping[str, str],
    cards: Mapping[str, str],
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a version's report as (name, content): pages, cards, and a contact sheet for each defect.

    standings: what the gate made of each product. previous: the version registered before, which is told apart by
    `params`, the `flat_params` of this one, and by its data sets and metrics. cards: Markdown by the name of the file.
    """
    for name, card in cards.items():
        yield name, card.encode()
    history = History(previous, params, metrics(products))
    yield "report.html", render(head, products, standings, history).encode()
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


def flat_params(params: Section) -> dict[str, str]:
    """Return every parameter as text under its dotted key."""
    return dict(_leaves(params.model_dump(mode="json", by_alias=True), ""))


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def metrics(products: Sequence[ProductContents]) -> dict[str, float]:
    """Return a version's figures, each under its product: PRODUCT/...

    DETECTOR/ARM[/DEFECT]/SCORE_mean and _std, DETECTOR/ARM/against_difference (to the incumbent, with low, high and
    probability): on the test split. choice/lift_gain and choice/DEFECT/gain (with the same): out of fold.
    generation/DEFECT/MEASURE, pairs/DEFECT, strength/DEFECT/FIGURE, gate/failed_expectations. What does not apply
    (null) is left out.
    """
    found: dict[str, float] = {}
    for product in products:
        own = {**_detection(product.evaluation), **_choice(product.choice), **_pairs(product)}
        found |= {f"{product.product}/{name}": value for name, value in own.items()}
    return found


def _detection(evaluation: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for detector, results in evaluation.get("detectors", {}).items():
        for arm, scores in results["arms"].items():
            found |= _scores(f"{detector}/{arm}", scores)
            found |= _figures(f"{detector}/{arm}/against_", ("difference", *INTERVAL), scores.get("against"))
            for defect, by_defect in (scores.get("per_defect") or {}).items():
                found |= _scores(f"{detector}/{arm}/{defect}", by_defect)
    return found


def _scores(prefix: str, scores: Mapping[str, Any]) -> dict[str, float]:
    """Return mean and standard deviation of every score."""
    given = {name: score for name, score in scores.items() if isinstance(score, Mapping)}
    parts = (_figures(f"{prefix}/{name}_", ("mean", "std"), score) for name, score in given.items())
    return {name: value for part in parts for name, value in part.items()}


def _choice(choice: Mapping[str, Any]) -> dict[str, float]:
    found = _figures("choice/lift_", ("gain", *INTERVAL), choice.get("lift"))
    for defect, chosen in choice.get("defects", {}).items():
        found |= _figures(f"choice/{defect}/", ("gain", *INTERVAL), chosen)
    return found


def _figures(prefix: str, names: Sequence[str], values: Mapping[str, Any] | None) -> dict[str, float]:
    """Return those of `names` that `values` has, as they are prefixed."""
    given = values or {}
    return {f"{prefix}{name}": float(given[name]) for name in names if given.get(name) is not None}


def _pairs(product: ProductContents) -> dict[str, float]:
    counts, expectations = product.gate["counts"], product.gate["expectations"]
    found = {f"pairs/{defect}": float(made) for defect, made in counts["pairs"].items()}
    for defect, measures in (product.evaluation.get("generation") or {}).items():
        numbers = {name: float(value) for name, value in measures.items() if isinstance(value, int | float)}
        found |= {f"generation/{defect}/{name}": value for name, value in numbers.items()}
    for contents in product.defects:
        figures = strength_figures(contents.trials())
        found |= {f"strength/{contents.defect}/{figure}": value for figure, value in figures.items()}
    return found | {"gate/failed_expectations": float(sum(not entry["success"] for entry in expectations))}
