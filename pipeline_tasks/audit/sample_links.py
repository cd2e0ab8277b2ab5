"""The tables of a version's real samples, against lineage.json; counterparts against their own pixels."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline_tasks.audit.chain import Link, some
from pipeline_tasks.audit.row_links import UNNAMED, Record
from pipeline_tasks.audit.stage_links import Ground
from pipeline_tasks.audit.tables import REMEDY, Tables, unread
from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import decode_image, image_digest
from pipeline_tasks.lineage.record import samples_of
from pipeline_tasks.manifest import read_selected
from pipeline_tasks.schema import Sample
from pipeline_tasks.splits.guard import BASE
from pipeline_tasks.splits.membership import SPLITS

Samples = list[dict[str, Any]]


def sample_links(ground: Ground, catalog: Catalog, record: Record | None) -> Iterator[tuple[Link, str, Samples]]:
    """Yield, by product, whether its samples' tables are what lineage.json says, and the samples.

    record: as in `row_links`; raises as that.
    """
    for product in catalog.products:
        name = f"samples of {product}"
        samples: Samples = []
        with TemporaryDirectory(prefix="defectline-") as folder:
            try:
                files = _files(Tables(ground.lock, ground.objects, Path(folder)), product)
                samples = samples_of(files)
                faults = [*_against(record, product, samples), *_counterparts(files, samples)]
            except Exception as error:  # whatever is in the tables, the audit goes on
                yield unread(name, error, "the samples"), product, samples
            else:
                yield _link(name, samples, faults, record), product, samples


def _files(tables: Tables, product: str) -> list[Path]:
    outputs = [tables.samples(product, split) for split in SPLITS]
    return [tables.file(output, name) for output in outputs for name in sorted(tables.objects.files(output.md5))]


def _against(record: Record | None, product: str, samples: Samples) -> Iterator[str]:
    """Compare a product's samples with what lineage.json says of them."""
    if record is None:
        return
    if (told := record["products"].get(product, {}).get("samples")) is None:
        yield UNNAMED
    elif told != samples:
        theirs, ours = _by_place(told), _by_place(samples)
        differing = [place[1] for place in sorted({*theirs, *ours}) if theirs.get(place) != ours.get(place)]
        yield f"their tables are not what lineage.json says: {some(differing, ', ') or 'one of them is there twice'}"


def _by_place(samples: Samples) -> dict[tuple[str, str], dict[str, Any]]:
    return {(sample["split"], sample["source_path"]): sample for sample in samples}


def _counterparts(files: Sequence[Path], samples: Samples) -> Iterator[str]:
    """Tell of counterparts whose pixels are not those of their SHA-256, or that are made of no base sample."""
    base = {sample["source_path"] for sample in samples if sample["split"] == BASE and not sample["derived_from"]}
    made = {sample["derived_from"] for sample in samples} - {None}
    for sample in read_selected(files, Sample, "derived_from", made):
        if _digest(sample) != sample.sha256:
            yield f"{sample.source_path}: its pixels are not those that its SHA-256 is of"
        if sample.derived_from not in base or sample.split != BASE:
            yield f"{sample.source_path}: it is not a base sample made of one"


def _digest(sample: Sample) -> str:
    """Return the digest of a sample's pixels; "" where they cannot be decoded."""
    try:
        return image_digest(decode_image(sample.image))
    except DataError:
        return ""


def _link(name: str, samples: Samples, faults: Sequence[str], record: Record | None) -> Link:
    if faults:
        return Link(name, "broken", some(faults), REMEDY)
    told = "as lineage.json says" if record is not None else "and no lineage.json to compare them with"
    return Link(name, "ok", f"{len(samples)} samples, {told}")
