"""The rows of a version's pairs, all of them, against their own seals, the masks, the base set and lineage.json."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline_tasks.audit.chain import Link, some
from pipeline_tasks.audit.origins import AT_ONCE, Rules, origins_of
from pipeline_tasks.audit.pair_checks import faults_of
from pipeline_tasks.audit.stage_links import Ground
from pipeline_tasks.audit.tables import REMEDY, Tables, unread
from pipeline_tasks.catalog import Catalog, Defect
from pipeline_tasks.lineage.record import MadeRow, defect_record
from pipeline_tasks.manifest import read_manifest
from pipeline_tasks.schema import REJECTED, Pair, Rejected
from pipeline_tasks.storage import read_rows

UNNAMED = "lineage.json does not name it"
Record = Mapping[str, Any]


@dataclass
class Findings:
    """What was found of a defect's rows so far. rejected: indices of the masks whose pairs were not kept."""

    rows: list[MadeRow] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)
    code: set[str] = field(default_factory=set)

    def add(self, pair: Pair, faults: list[str]) -> None:
        """Take in a row."""
        self.rows.append(MadeRow(*(getattr(pair, name) for name in MadeRow._fields)))
        self.runs.add(pair.run_id)
        self.code.add(pair.code_revision)
        self.faults += [f"pair {pair.pair_id}: {fault}" for fault in faults]


def row_links(ground: Ground, catalog: Catalog, record: Record | None) -> Iterator[tuple[Link, set[str]]]:
    """Yield a link for the rows of each defect, with the revisions of the code that made them.

    record: the version's lineage.json; None where it cannot be had, then nothing is compared with it. Raises
    TransientError if the remote cannot be read or the disk is full.
    """
    for item in catalog.defects.values():
        name = f"rows of {item.product}/{item.defect}"
        with TemporaryDirectory(prefix="defectline-") as folder:
            try:
                found = _findings(ground, Tables(ground.lock, ground.objects, Path(folder)), item)
                told = [] if record is None else list(_against(record, ground, item, found.rows))
            except Exception as error:  # whatever is in the tables, the audit goes on
                yield unread(name, error, "its pairs, masks and samples"), set()
            else:
                yield _link(name, found, [*told, *found.faults]), found.code


def _findings(ground: Ground, tables: Tables, item: Defect) -> Findings:
    rules = Rules.of(ground.params)
    origins, found = origins_of(tables, item, rules), Findings()
    output = ground.lock.output(_stage(item))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for shard in tables.shards(output):
            rows = sorted(read_rows(shard, Pair), key=lambda pair: pair.normal_path or "")
            faults = pool.map(partial(faults_of, origins=origins), rows)
            for pair, told in sorted(zip(rows, faults, strict=True), key=lambda checked: checked[0].pair_index):
                found.add(pair, told)
    for shard in tables.shards(output, REJECTED):
        found.rejected += read_manifest([shard], Rejected)["pair_index"].to_pylist()
    found.faults = [*_lost(found, origins.masks.keys(), rules.asked), *found.faults]
    return found


def _stage(item: Defect) -> str:
    return f"generate@{item.product}-{item.defect}"


def _lost(found: Findings, masks: Set[int], asked: int) -> Iterator[str]:
    """Tell of masks that became nothing or several things. The stage ends with the last pair that is asked for."""
    used = Counter([*(row.pair_index for row in found.rows), *found.rejected])
    last = max(used, default=-1)
    told = {
        "became neither pairs nor rejected": [index for index in masks - used.keys() if index <= last],
        "became pairs or rejected more than once": [index for index, times in used.items() if times > 1],
        "are rejected, and the masks table has none of them": set(found.rejected) - masks,
    }
    yield from (f"masks {some([*map(str, sorted(which))], ', ')} {what}" for what, which in told.items() if which)
    made, left = len(found.rows), len(masks - used.keys())
    if made > asked or (made < asked and left):
        yield f"{made} pairs, and {asked} were asked for, with {left} masks left to make them of"


def _against(record: Record, ground: Ground, item: Defect, rows: Sequence[MadeRow]) -> Iterator[str]:
    """Compare a defect's rows with what lineage.json says of them."""
    told = record["products"].get(item.product, {}).get("defects", {}).get(item.defect)
    if told is None:
        yield UNNAMED
        return
    made = defect_record(item.source, ground.lock.output(_stage(item)).md5, rows)
    if differing := [key for key in {**made, **told} if made.get(key) != told.get(key)]:
        yield f"they are not what lineage.json was written of: {', '.join(differing)} differ"


def _link(name: str, found: Findings, faults: Sequence[str]) -> Link:
    if faults:
        return Link(name, "broken", some(faults), REMEDY)
    runs = f"{len(found.runs)} {'run' if len(found.runs) == 1 else 'runs'}"
    held = "their seals, pixels, seeds, parents, masks and normal images hold"
    lost = f"; {len(found.rejected)} more were rejected" if found.rejected else ""
    return Link(name, "ok", f"{len(found.rows)} pairs of {runs}: {held}{lost}")
