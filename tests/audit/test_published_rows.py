"""Rows, samples and raw files of a version that the pipeline itself made and published."""

import copy
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from pipeline_tasks.audit.raw_links import raw_link
from pipeline_tasks.audit.row_links import row_links
from pipeline_tasks.audit.sample_links import sample_links
from pipeline_tasks.audit.stage_links import Ground
from pipeline_tasks.images.codec import decode_mask, encode_mask
from pipeline_tasks.lineage.lock import digest_of_listing, md5_of
from pipeline_tasks.lineage.objects import stored_objects
from pipeline_tasks.lineage.record import load_record
from pipeline_tasks.lineage.snapshot import snapshot_at, unpacked
from pipeline_tasks.schema import MaskRow, Rejected, Sample
from pipeline_tasks.storage import read_rows, write_rows


class Published:
    """The version, its catalog and its lineage.json, on ground that can be tampered with."""

    def __init__(self, root, objects, tree):
        snapshot = snapshot_at(root, "dataset-1")
        self.root, self.catalog = root, snapshot.catalog
        self.record = load_record(objects, snapshot.record)
        self.ground = Ground(replace(snapshot.lock, stages=copy.deepcopy(snapshot.lock.stages)), objects, tree)

    def tamper(self, stage, pattern, name, row, change):
        """Change the rows of a table, and make every digest fit."""
        output, table = self.ground.lock.output(stage, pattern), self.root / "table.parquet"
        files = self.ground.objects.files(output.md5)
        table.write_bytes(b"".join(self.ground.objects.chunks(files[name])))
        rows = list(read_rows(table, row))
        write_rows(table, change(rows), row)
        files[name] = self._keep(table.read_bytes(), str(md5_of(table)))
        listing = [{"md5": md5, "relpath": path} for path, md5 in sorted(files.items())]
        folder = self._keep(json.dumps(listing, sort_keys=True).encode(), digest_of_listing(files))
        (entry,) = (out for out in self.ground.lock.stages[stage]["outs"] if out["path"] == output.path.as_posix())
        entry["md5"] = folder if output.is_folder else files[name]

    def _keep(self, content, md5):
        place = self.root / ".remote/files/md5" / md5[:2] / md5[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.write_bytes(content)
        return md5

    def rows(self):
        return {link.name: link for link, _ in row_links(self.ground, self.catalog, self.record)}

    def raw(self):
        return raw_link(self.ground, "plate", self.catalog.products["plate"], self.root)


@contextmanager
def opened(root) -> Iterator[Published]:
    with stored_objects(root, cache=False) as objects, unpacked(root, "dataset-1") as tree:
        yield Published(root, objects, tree)


@pytest.fixture
def version(clean_clone, published):
    shutil.copytree(published / "data/raw", clean_clone / "data/raw")
    with opened(clean_clone) as found:
        yield found


def grown(row):
    """Return a row with a pixel more in its mask."""
    mask = decode_mask(row.mask)
    mask[0, 0] ^= True
    return replace(row, mask=encode_mask(mask))


def test_what_the_pipeline_made_holds(version):
    assert {(link.verdict, link.found.partition(":")[0]) for link in version.rows().values()} == {
        ("ok", "3 pairs of 1 run")
    }
    ((link, _, samples),) = sample_links(version.ground, version.catalog, version.record)
    assert (link.verdict, len(samples)) == ("ok", 21)
    assert (version.raw().verdict, version.raw().found[:12]) == ("ok", "all 21 files")


def test_another_mask_than_the_masks_tables_is_told(version):
    version.tamper("masks@plate-pit", "*.parquet", ".", MaskRow, lambda rows: [grown(rows[0]), *rows[1:]])
    told = "pair plate/pit/000000: its mask is not, pixel for pixel, the one in the masks table"
    assert version.rows()["rows of plate/pit"].found == told


def test_a_pair_that_is_said_to_be_rejected_is_told(version):
    row = Rejected(1, "plate", "pit", 1, "empty mask", 0.0, 0.0, 0.0, 0.0, 0.0)
    version.tamper("generate@plate-pit", "*", "rejected/00000.parquet", Rejected, lambda rows: [*rows, row])
    told = version.rows()["rows of plate/pit"].found
    assert "masks 1 became pairs or rejected more than once" in told
    assert told.startswith("they are not what lineage.json was written of: digest differ")


def test_normal_images_under_which_the_pairs_change_are_told(version):
    def swap(rows):
        images = [row.image for row in rows]
        return [replace(row, image=image) for row, image in zip(rows, images[1:] + images[:1], strict=True)]

    version.tamper("ingest@plate", "data/base/*", "good.parquet", Sample, swap)
    told = version.rows()["rows of plate/pit"].found
    assert told.count("outside of the dilated mask it differs from its normal image") == 3
    raw = version.raw()
    assert raw.verdict == "broken" and "train/good/000.png (image)" in raw.found


def test_a_base_mask_that_was_redrawn_in_the_data_alone_is_told(version):
    version.tamper("ingest@plate", "data/base/*", "pit.parquet", Sample, lambda rows: [grown(rows[0]), *rows[1:]])
    raw = version.raw()
    assert raw.verdict == "broken" and raw.found.endswith("hold: test/pit/000.png (mask or defect)")
    (version.root / "data/raw/plate/new.txt").write_text("the folder is not what it was")
    assert version.raw().verdict == "unchecked"
