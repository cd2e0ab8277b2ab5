"""The card of a data set version, in Markdown as Hugging Face has it: what it is, whence it comes, what it is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline_tasks.report.contents import PairCounts, ProductContents
from pipeline_tasks.report.markdown import fill_card, licence_fields, licence_words
from pipeline_tasks.report.tables import checks, shortfalls
from pipeline_tasks.report.verdict import Lift, caution_on, lift_of, without_lift
from pipeline_tasks.report.words import joined, mixture_words
from pipeline_tasks.schema import GOOD, Pair, arrow_schema

KINDS = {
    "transformed": "real masks, warped",
    "image": "between two real masks",
    "latent": "between two real masks, in latent space",
    "perlin": "noise on the object",
    "attention": "by the generator's attention",
}
"""How masks were made (schema.MASK_KIND), in words."""
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Hugging Face's size categories, by what is below each; above them all is 1M<n<10M."""
NONE = "–"
BY = " × "
FEW_SIZES = 3
"""Sizes that a cell lists one by one."""
UNTESTED = "The detectors were not compared on real test images."


@dataclass(frozen=True)
class CardOrigin:
    """Which version a card is of: dvc.lock's, the number of its release ("" before it has one), its git commit."""

    version: str
    release: str
    git_revision: str

    @property
    def name(self) -> str:
        """What people call the version."""
        return f"dataset-{self.release}" if self.release else self.version


@dataclass(frozen=True)
class CardDefect:
    """A defect's pairs: whose real ones were learned from, where DVC keeps them, DVC's MD5, and what they are."""

    defect: str
    source: str
    path: str
    digest: str
    counts: PairCounts


@dataclass(frozen=True)
class CardProduct:
    """What a card says of a product: see `ProductContents`; `ruling`: what the gate made of it, "" where unknown."""

    product: str
    licence: str
    generator: Mapping[str, str]
    gate: Mapping[str, Any]
    choice: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    defects: Sequence[CardDefect]
    ruling: str = ""


@dataclass(frozen=True)
class _Section:
    """A product in words."""

    product: str
    made: Mapping[str, str]
    verdict: str
    checks: Sequence[Sequence[str]]
    shortfalls: Sequence[str]
    ruling: str
    advice: Sequence[str]
    lift: Lift | None
    without_lift: str
    tested: str
    caution: str


def count_pairs(manifest: pa.Table) -> PairCounts:
    """Count what a defect's pairs, the rows of `manifest`, come from and look like."""
    parents = {path for side in ("parent_a", "parent_b") for path in pc.unique(manifest[side]).to_pylist()} - {None}
    sizes = pc.binary_join_element_wise(*(manifest[side].cast(pa.string()) for side in ("width", "height")), BY)
    return PairCounts(
        pairs=manifest.num_rows,
        parents=len(parents),
        normals=pc.count_distinct(manifest["normal_path"]).as_py(),
        kinds=_tally(manifest["mask_kind"]),
        sizes=_tally(sizes),
    )


def _tally(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first."""
    counted = {entry["values"]: entry["counts"] for entry in column.value_counts().to_pylist()}
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def card_product(contents: ProductContents, ruling: str) -> CardProduct:
    """Return what a card says of a product that a version publishes."""
    defects = [CardDefect(d.defect, d.source, d.path, d.digest, d.counts()) for d in contents.defects]
    return CardProduct(
        product=contents.product,
        licence=contents.licence,
        generator=contents.generator,
        gate=contents.gate,
        choice=contents.choice,
        evaluation=contents.evaluation,
        defects=defects,
        ruling=ruling,
    )


def render_card(origin: CardOrigin, products: Sequence[CardProduct]) -> str:
    """Return the card of a version, or of those of its products. The same values give the same card."""
    names, licences = [each.product for each in products], {each.product: each.licence for each in products}
    total = sum(defect.counts.pairs for each in products for defect in each.defects)
    front = {
        **licence_fields(licences.values()),
        "pretty_name": f"Synthetic defects on {joined(names)}, {origin.name}",
        "task_categories": ["image-segmentation"],
        "size_categories": [next((words for most, words in SIZES if total < most), "1M<n<10M")],
        "tags": ["synthetic", "defect-detection", "anomaly-detection", "visual-inspection"],
    }
    rows = [_row(each, defect) for each in products for defect in each.defects]
    return fill_card(
        "dataset_card.md",
        front,
        origin=origin,
        names=joined(names),
        total=f"{total:,}",
        rows=rows,
        files=[(f"{each.product}/{d.defect}", d.path, d.digest) for each in products for d in each.defects],
        sections=[_section(each) for each in products],
        licences=licence_words(licences),
        limits=[sentence for each in products for sentence in _limits(each)],
        columns=[(field.name, str(field.type), field.metadata[b"meaning"].decode()) for field in arrow_schema(Pair)],
    )


def describe_dataset(origin: CardOrigin, product: CardProduct) -> str:
    """Return what a product's data set is, in two sentences."""
    counts = joined(f"{defect.counts.pairs:,} of {defect.defect}" for defect in product.defects)
    made = f"generator: {product.choice['generator']}" if product.choice.get("generator") else "no generator on record"
    return f"Pairs on {product.product}: {counts}; version {origin.version}, {made}. {product.ruling}".strip()


def _row(product: CardProduct, defect: CardDefect) -> list[str]:
    counts = defect.counts
    real = product.gate["counts"]["base"].get(defect.defect, 0)
    return [
        product.product,
        defect.defect,
        f"{counts.pairs:,}",
        f"{real}" if defect.source == product.product else f"none, learned on {defect.source}",
        f"{counts.parents}" if counts.parents else "none",
        f"{counts.normals}" if counts.normals else "none, generated whole",
        _counted({KINDS.get(kind, kind): number for kind, number in counts.kinds.items()}),
        _sized(counts.sizes),
    ]


def _counted(counts: Mapping[str, int]) -> str:
    """Return '20 warped, 4 noise', without the number of the only one, or a dash for none."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{number:,} {what}" for what, number in counts.items()) or NONE


def _sized(sizes: Mapping[str, int]) -> str:
    """Return the sizes of images; where there are more than a few, from which to which they go."""
    if len(sizes) <= FEW_SIZES:
        return _counted(sizes)
    sides = zip(*([int(side) for side in size.split(BY)] for size in sizes), strict=True)
    widths, heights = ((min(side), max(side)) for side in sides)
    return f"{widths[0]} to {widths[1]}{BY}{heights[0]} to {heights[1]}, {len(sizes)} sizes"


def _section(product: CardProduct) -> _Section:
    choice, lines = product.choice, checks(product.gate)
    states = [line.state for line in lines]
    failing = [f"{states.count(state)} {state}" for state in ("failed", "warning") if state in states]
    return _Section(
        product=product.product,
        made={"Generator": choice.get("generator") or "not on record", **product.generator},
        verdict=f"{product.gate.get('verdict') or 'not on record'}{f' ({joined(failing)})' if failing else ''}",
        checks=[[line.sentence, line.threshold or NONE, line.observed or NONE, line.state] for line in lines],
        shortfalls=shortfalls(product.gate),
        ruling=product.ruling,
        advice=[f"{defect}: {mixture_words(found)}" for defect, found in choice.get("defects", {}).items()],
        lift=lift_of(choice),
        without_lift=without_lift(choice) or choice.get("reason", ""),
        tested=product.evaluation.get("verdict", {}).get("sentence") or UNTESTED,
        caution=caution_on(choice),
    )


def _limits(product: CardProduct) -> list[str]:
    """Return what a reader should not expect of a product's pairs, a sentence each."""
    name, base = product.product, product.gate["counts"]["base"]
    seen = [f"{base[d.defect]} of {d.defect}" for d in product.defects if base.get(d.defect)]
    whole = [d.defect for d in product.defects if not d.counts.normals]
    found = [f"{name}: the generator has seen {joined(seen) or 'no'} real samples of the product; what these do not "
             "show, the pairs do not show either."]  # fmt: skip
    if len(whole) < len(product.defects):
        found.append(f"{name}: the pairs show no other surroundings than the normal images beneath them, which they "
                     "equal outside the dilated mask.")  # fmt: skip
    if whole:
        found.append(f"{name}: {joined(whole)} {'is' if len(whole) == 1 else 'are'} generated whole, normal image "
                     "included.")  # fmt: skip
    for side, results in (("out of fold", product.choice), ("on the test split", product.evaluation)):
        found += [f"{name}: not measured {side}: {sentence}" for sentence in results.get("left_out", [])]
    undecided = product.choice.get("defects", {})
    found += [f"{name}: {d}: {f['reason']}" for d, f in undecided.items() if f["outcome"] == "undecidable"]
    if not sum(n for defect, n in product.gate["counts"]["test"].items() if defect != GOOD):
        found.append(f"{name}: there are no real defects in a test split, so nothing was measured on one.")
    return found
