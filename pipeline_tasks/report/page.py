"""report.html of a version: one file that needs no other, for the people who will train on the pairs."""

from collections.abc import Sequence
from typing import Any

from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.report.arms import detector_sections
from pipeline_tasks.report.changes import changes_section
from pipeline_tasks.report.charts import loss_chart
from pipeline_tasks.report.choice import defects_section
from pipeline_tasks.report.contents import DefectContents, Head, History, ProductContents, Standing
from pipeline_tasks.report.curves import curve_chart
from pipeline_tasks.report.failures import failures_section
from pipeline_tasks.report.likeness import embedding_map, generation_measures
from pipeline_tasks.report.pairs import pair_view
from pipeline_tasks.report.pictures import located, window_around, zoomed
from pipeline_tasks.report.quarantine import histogram
from pipeline_tasks.report.split import split_section
from pipeline_tasks.report.strength import strength_section
from pipeline_tasks.report.tables import checks, count_table, shortfalls
from pipeline_tasks.report.templates import fill
from pipeline_tasks.report.verdict import verdict_section
from pipeline_tasks.schema import Sample


def render(head: Head, products: Sequence[ProductContents], standings: Sequence[Standing], history: History) -> str:
    """Return the report as HTML. The same contents give the same page.

    standings: what the gate made of each product. A product's sections come in the order of a reader's questions: what
    to do, on what evidence, where it fails, what is new; then what the data are.
    """
    sections = [{**_benefit(product, standings, history), **_data(product)} for product in products]
    return fill("report.html", head=head, products=sections)


def _benefit(contents: ProductContents, standings: Sequence[Standing], history: History) -> dict[str, Any]:
    """Return what the pairs do for a detector."""
    evaluation = contents.evaluation
    return {
        "verdict": verdict_section(contents, standings),
        "budget": evaluation.get("budget", ""),
        "detectors": detector_sections(evaluation),
        "choices": defects_section(contents.choice, evaluation),
        "curves": curve_chart(contents.curves, evaluation),
        "embedding": embedding_map(evaluation.get("embedding")),
        "measures": generation_measures(evaluation.get("generation")),
        "failures": failures_section(contents),
        "left_out": _left_out(contents),
        "changes": changes_section(contents, history),
    }


def _left_out(contents: ProductContents) -> list[str]:
    sides = {"out of fold": contents.choice, "on the test split": contents.evaluation}
    return [f"{side}: {sentence}" for side, found in sides.items() for sentence in found.get("left_out", [])]


def _data(contents: ProductContents) -> dict[str, Any]:
    """Return what the pairs are and what they are made from."""
    lines = checks(contents.gate)
    return {
        "name": contents.product,
        "generator": contents.generator,
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
    extremes = contents.extremes()
    return {
        "name": contents.defect,
        "learned_on": contents.source if contents.source != product else "",
        "best": [pair_view(example) for example in extremes.best],
        "worst": [pair_view(example) for example in extremes.worst],
        "pairs": [pair_view(example) for example in contents.examples()],
        "real": [_real(sample) for sample in contents.real()],
        "strength": strength_section(contents.trials()),
    }


def _real(sample: Sample) -> dict[str, str]:
    image = decode_image(sample.image)
    mask = decode_mask(sample.mask or b"")
    return {
        "path": sample.source_path,
        "located": located(image, mask),
        "zoomed": zoomed(image, window_around(mask)),
    }
