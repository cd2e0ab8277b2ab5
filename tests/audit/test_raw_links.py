import hashlib
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from rows import PLAIN, sample
from small_version import BASE, CATALOG, TEST, SmallVersion

from pipeline_tasks.audit import raw_files, tables
from pipeline_tasks.audit.chain import NAMED
from pipeline_tasks.audit.raw_links import raw_link
from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.lineage.lock import md5_of
from pipeline_tasks.provenance import PACKAGE
from pipeline_tasks.schema import GOOD, MaskRow, Sample
from pipeline_tasks.splits.membership import SPLITS

PIT = "test/pit/000.png"
MASK = "ground_truth/pit/000_mask.png"


def drawn(number):
    """Return an image and a mask, others for each number."""
    pixels, mask = PLAIN.copy(), np.zeros(PLAIN.shape[:2], bool)
    pixels[number, number] = 9
    mask[number : number + 4, 2:9] = True
    return pixels, mask


class RawVersion(SmallVersion):
    """A version whose samples were read from the folder raw: two pits, one of them in base, and a normal image."""

    def __init__(self, root):
        super().__init__(root)
        self.raw = root / "raw"
        pits = [self._sample(f"test/pit/00{number}.png", "pit", number, split) for number, split in enumerate(SPLITS)]
        normal = self._sample("train/good/000.png", GOOD, 5, "base")
        made = replace(normal, source_path=f"{PIT}#defect_free", sha256="0" * 64, derived_from=PIT)
        self.tables |= {
            f"{BASE}/good.parquet": (Sample, [normal, made]),
            f"{BASE}/pit.parquet": (Sample, pits[:1]),
            f"{TEST}/good.parquet": (Sample, []),
            f"{TEST}/pit.parquet": (Sample, pits[1:]),
        }

    def _sample(self, path, defect, number, split):
        pixels, mask = drawn(number)
        file = self.raw / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_image(pixels))
        if defect != GOOD:
            label = self.raw / "ground_truth" / defect / f"{file.stem}_mask.png"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_bytes(encode_mask(mask))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return sample(defect, number, split, pixels, mask, source_path=path, sha256=digest)

    def first(self, **values):
        """Change the pit in the base set."""
        kind, (row,) = self.tables[f"{BASE}/pit.parquet"]
        self.tables[f"{BASE}/pit.parquet"] = kind, [replace(row, **values)]

    def link(self, *, was=None, code=True):
        """Return the link. was: DVC's digest of raw when ingest read it; code: whether the version's own is there."""
        ground = self.ground()
        ground.lock.stages["ingest@plate"]["deps"] = [{"path": "raw", "md5": was or md5_of(self.raw)}]
        if code:
            for part in ("images", "layouts"):
                shutil.copytree(PACKAGE / part, ground.tree / PACKAGE.name / part, dirs_exist_ok=True)
        return raw_link(ground, "plate", CATALOG.products["plate"], self.root)


@pytest.fixture
def version(tmp_path):
    return RawVersion(tmp_path)


def test_files_that_have_the_samples_pixels_hold(version):
    link = version.link()
    assert link.verdict == "ok"
    assert link.found.startswith(f"all 3 files in {version.raw} have the SHA-256 that their samples name, and with")


def test_a_sample_with_other_pixels_than_the_file_of_its_sha256_is_broken(version):
    version.first(image=encode_image(drawn(7)[0]))
    link = version.link()
    assert link.verdict == "broken"
    assert link.found == f"1 of 3 samples are not what their files in {version.raw} hold: {PIT} (image)"


@pytest.mark.parametrize("mask", [encode_mask(drawn(7)[1]), b"no PNG"])
def test_a_sample_with_another_mask_than_its_mask_file_is_broken(version, mask):
    version.first(mask=mask)
    link = version.link()
    assert link.verdict == "broken" and link.found.endswith(f"hold: {PIT} (mask or defect)")


@pytest.mark.parametrize("values", [{"defect": GOOD, "mask": None}, {"defect": "scratch"}])
def test_a_sample_with_another_defect_than_its_file_is_broken(version, values):
    version.first(**values)
    link = version.link()
    assert link.verdict == "broken" and link.found.endswith(f"hold: {PIT} (mask or defect)")


def test_a_sample_that_cannot_be_decoded_is_broken(version):
    version.first(image=b"no PNG")
    assert version.link().verdict == "broken"


def test_a_mask_file_that_was_redrawn_since_breaks_nothing(version):
    was = md5_of(version.raw)
    (version.raw / MASK).write_bytes(encode_mask(drawn(7)[1]))
    link = version.link(was=was)
    told = f"1 of 3 files in {version.raw} have another mask or defect in it, where something has changed since: {PIT}"
    assert (link.verdict, link.found) == ("unchecked", f"{told}; the others are as they were")


def test_a_changed_file_is_named_and_breaks_nothing(version):
    (version.raw / PIT).write_bytes(encode_image(drawn(7)[0]))
    link = version.link()
    told = f"1 of 3 files in {version.raw} have changed since: {PIT}; the others are as they were"
    assert (link.verdict, link.found) == ("unchecked", told) and link.remedy


def test_files_that_are_gone_break_nothing(version):
    (version.raw / PIT).unlink()
    (version.raw / "ground_truth/pit/001_mask.png").unlink()
    link = version.link()
    assert link.verdict == "unchecked"
    assert f"1 of 3 files in {version.raw} are gone or cannot be read: {PIT}" in link.found
    assert f"1 of 3 files in {version.raw} have no mask any more: test/pit/001.png" in link.found
    shutil.rmtree(version.raw)
    told = f"{version.raw} is not on this machine; lineage.json holds the SHA-256 of each file"
    assert version.link(was="0" * 32).found == told


def test_raw_samples_that_dvc_carries_are_fetched_from_the_remote(version):
    was = version.keep("raw")["md5"]
    shutil.rmtree(version.raw)
    link = version.link(was=was)
    assert (link.verdict, "all 3 files in" in link.found) == ("ok", True) and not version.raw.exists()


def test_raw_samples_that_the_remote_holds_damaged_are_left_unchecked(version):
    was = version.keep("raw")["md5"]
    (version.root / "store" / str(md5_of(version.raw / PIT))).write_bytes(b"")
    shutil.rmtree(version.raw)
    link = version.link(was=was)
    assert link.verdict == "unchecked" and "is damaged" in link.found


def test_what_is_broken_is_told_beside_what_has_changed(version):
    version.first(image=encode_image(drawn(7)[0]))
    (version.raw / "test/pit/001.png").unlink()
    link = version.link()
    assert link.verdict == "broken" and f"{PIT} (image); 1 of 3 files" in link.found


def test_a_difference_that_other_decoding_may_make_is_left_to_the_code_of_that_time(version):
    version.first(image=encode_image(drawn(7)[0]))
    link = version.link(code=False)
    assert (link.verdict, link.remedy) == ("unchecked", tables.OWN_CODE) and "(image)" in link.found


def test_files_are_decoded_with_the_parameters_of_the_version(version):
    values = np.full((48, 48), 2047, np.uint16)
    _, png = cv2.imencode(".png", values)
    (version.raw / PIT).write_bytes(png.tobytes())
    sha256 = hashlib.sha256(png.tobytes()).hexdigest()
    version.first(image=encode_image(np.full((48, 48, 3), 127, np.uint8)), sha256=sha256)
    version.sections["ingest"] = {"white_16bit": 4095}
    assert version.link().verdict == "ok"
    version.sections["ingest"] = {"white_16bit": 65535}
    assert version.link(code=False).found.endswith(f"{PIT} (image)")


def test_parameters_of_another_time_are_left_to_the_code_of_that_time(version):
    ground = version.ground()
    (ground.tree / "params.yaml").write_text("ingest: {max_megapixels: 9}\n")
    link = raw_link(ground, "plate", CATALOG.products["plate"], version.root)
    assert (link.verdict, link.remedy) == ("unchecked", tables.OWN_CODE)


def test_tables_of_another_time_are_left_to_the_code_of_that_time(version):
    version.tables[f"{TEST}/pit.parquet"] = MaskRow, []
    assert version.link().remedy == tables.OWN_CODE


def test_no_file_outside_the_folder_is_looked_at(version):
    (version.root / "secret.png").write_bytes((version.raw / PIT).read_bytes())
    version.first(source_path="../secret.png")
    assert f"1 of 3 files in {version.raw} are gone or cannot be read: ../secret.png" in version.link().found


def test_a_folder_that_its_layout_no_longer_reads_is_compared_by_its_images(version):
    item = CATALOG.products["plate"].model_copy(update={"layout": "listing"})
    found = raw_link(version.ground(), "plate", item, version.root)
    assert found.verdict == "unchecked" and "2 of 3 files" in found.found and "have no mask any more" in found.found


def test_many_faults_are_counted(version):
    kind, (row,) = version.tables[f"{BASE}/pit.parquet"]
    rows = [replace(row, source_path=f"{number:03d}.png") for number in range(NAMED + 5)]
    version.tables[f"{BASE}/pit.parquet"] = kind, rows
    assert "009.png, and 5 more; the others are as they were" in version.link().found


def test_this_codes_own_decoding_is_its_own(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    assert raw_files.decodes_alike(tmp_path)
    (tmp_path / PACKAGE.name / "layouts/mvtec.py").write_text("")
    assert not raw_files.decodes_alike(tmp_path)
