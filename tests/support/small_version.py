"""A version of one product and one defect as DVC keeps it: tables of a few small rows, a lock, a store of objects."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rows import PLAIN, SQUARE, mask_row, pair, sample
from settings import write_settings

from pipeline_tasks.audit.stage_links import Ground
from pipeline_tasks.catalog import Catalog
from pipeline_tasks.images.codec import encode_image, image_digest, mask_digest
from pipeline_tasks.lineage.lock import Lock, md5_of
from pipeline_tasks.lineage.objects import Objects, Place
from pipeline_tasks.lineage.record import MadeRow, defect_record, samples_of
from pipeline_tasks.provenance import sealed
from pipeline_tasks.schema import MaskRow, Pair, Rejected, Sample
from pipeline_tasks.storage import write_rows

CATALOG = Catalog.model_validate(
    {
        "products": {"plate": {"path": "raw", "layout": "mvtec"}},
        "generators": {"plate": {"base": "b", "prompts": "p"}},
        "defects": {
            "plate-pit": {"product": "plate", "source": "plate", "generator": "plate", "prompts": "p", "defect": "pit"}
        },
    }
)
OUTPUTS = {
    "ingest@plate": ["data/base/plate", "data/test/plate"],
    "masks@plate-pit": ["data/masks/plate/pit.parquet"],
    "generate@plate-pit": ["data/pairs/plate/pit"],
}
BASE, TEST, PAIRS = "data/base/plate", "data/test/plate", "data/pairs/plate/pit"
MASKS = OUTPUTS["masks@plate-pit"][0]


def made_pair(index: int, **values: Any) -> Pair:
    """Return a pair that is as it was made: darker inside its mask, and equal to its normal image elsewhere."""
    image = PLAIN.copy()
    image[SQUARE] -= 40
    digests = {"image_sha256": image_digest(image), "mask_sha256": mask_digest(SQUARE)}
    row = pair("pit", index, image=encode_image(image), **digests)
    return sealed(replace(row, **values))


def rejected(index: int) -> Rejected:
    """Return the row of a mask whose pair was not kept."""
    return Rejected(index, "plate", "pit", 3, "defect not visible", 0.1, 0.1, 0.1, 0.1, 0.1)


class SmallVersion:
    """Five masks, of which 0, 1 and 3 became pairs and 2 was rejected; then there were as many as were asked for.

    A test changes `tables`, rows and their type by path, before it asks for the `ground`.
    """

    def __init__(self, root: Path) -> None:
        """Make the sound version, kept below `root`."""
        self.root = root
        self.tables: dict[str, tuple[type, Sequence[Any]]] = {
            f"{BASE}/good.parquet": (Sample, [sample("good", 0)]),
            f"{BASE}/pit.parquet": (Sample, [sample("pit", number) for number in range(2)]),
            f"{TEST}/good.parquet": (Sample, [sample("good", 1, "test")]),
            f"{TEST}/pit.parquet": (Sample, [sample("pit", 2, "test")]),
            MASKS: (MaskRow, [mask_row(index) for index in range(5)]),
            f"{PAIRS}/00000.parquet": (Pair, [made_pair(0), made_pair(1)]),
            f"{PAIRS}/00001.parquet": (Pair, [made_pair(3)]),
            f"{PAIRS}/rejected/00000.parquet": (Rejected, []),
            f"{PAIRS}/rejected/00001.parquet": (Rejected, [rejected(2)]),
        }
        self.sections: dict[str, dict[str, Any]] = {"masks": {"pairs_per_defect": 3}}
        self.commands: dict[str, Any] = {}

    def ground(self) -> Ground:
        """Write the tables, keep them as DVC does, and return where an audit finds them."""
        for path, (row, rows) in self.tables.items():
            write_rows(self.root / path, rows, row)
        (self.root / "tree").mkdir(exist_ok=True)
        write_settings(self.root / "tree", **self.sections)
        stages = {
            stage: {"cmd": self.commands.get(stage, ""), "deps": [], "outs": [self.keep(path) for path in paths]}
            for stage, paths in OUTPUTS.items()
        }
        return Ground(Lock(self.root, stages), Objects([Place("the remote", _Store(self.root))]), self.root / "tree")

    def record(self, ground: Ground) -> dict[str, Any]:
        """Return the parts of lineage.json that are of rows and samples, as they are in the tables."""
        rows = [row for kind, rows in self.tables.values() if kind is Pair for row in rows]
        made = [MadeRow(*(getattr(row, name) for name in MadeRow._fields)) for row in rows]
        told = defect_record("plate", ground.lock.output("generate@plate-pit").md5, made)
        files = [self.root / path for path, (row, _) in self.tables.items() if row is Sample]
        return {"products": {"plate": {"samples": samples_of(files), "defects": {"pit": told}}}}

    def keep(self, path: str) -> dict[str, str]:
        """Keep what is at a path as DVC does, and return its entry in the lock."""
        place, store = self.root / path, _Store(self.root)
        files = [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
        for file in files:
            shutil.copy(file, store.oid_to_path(str(md5_of(file))))
        md5 = str(md5_of(place))
        if place.is_dir():
            listing = [{"md5": md5_of(file), "relpath": file.relative_to(place).as_posix()} for file in files]
            text = json.dumps(sorted(listing, key=lambda entry: str(entry["relpath"])), sort_keys=True)
            Path(store.oid_to_path(md5)).write_text(text)
        return {"path": path, "md5": md5}


class _Store:
    """Files by their MD5 in a folder, asked as DVC's HashFileDB is."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "store"
        self._folder.mkdir(exist_ok=True)
        self.fs = self

    def oid_to_path(self, md5: str) -> str:
        return str(self._folder / md5)

    def open(self, path: str, mode: str) -> Any:
        return Path(path).open(mode)
