import hashlib
from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from settings import settings

from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import decode_image, decode_mask, read_file
from pipeline_tasks.layouts import layout
from pipeline_tasks.layouts.raw import IMAGE_SUFFIXES
from pipeline_tasks.layouts.reasons import REMEDY, Reason
from pipeline_tasks.schema import GOOD, Sample, SetAside
from pipeline_tasks.stages import ingest

PARAMS = settings().ingest


def files_of(root):
    return layout("mvtec").read(root, "plate", PARAMS)


def rows_of(root, params=PARAMS, read_file=Path.read_bytes, known=(), withdrawn=None):
    """Return every sample, in order, and every file that was set aside."""
    found = ingest.survey(params, "plate", files_of(root), read_file, withdrawn or {})
    division = ingest.divide(params, "plate", found, known)
    return [*ingest.run(params, "plate", found, division.sides, division.groups, read_file), *found.set_aside]


def samples_of(root, params=PARAMS):
    return [row for row in rows_of(root, params) if isinstance(row, Sample)]


def set_aside(root):
    return {row.source_path: row for row in rows_of(root) if isinstance(row, SetAside)}


def splits(root, defect):
    return [row.split for row in samples_of(root) if row.defect == defect]


def test_a_sample_is_the_file_in_canonical_form(product_folder):
    product_folder.good(1).defect("pit", 1)
    pit, good = samples_of(product_folder.root)
    data = (product_folder.root / "test/pit/000.png").read_bytes()
    pixels = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.array_equal(decode_image(pit.image), pixels)
    assert np.argwhere(decode_mask(pit.mask)).min(axis=0).tolist() == [8, 10]
    assert (pit.product, pit.defect, pit.split, pit.source_path) == ("plate", "pit", "base", "test/pit/000.png")
    assert (pit.width, pit.height, pit.source_bytes) == (32, 24, len(data))
    assert pit.sha256 == hashlib.sha256(data).hexdigest()
    assert (pit.mask_area_px, pit.mask_area_fraction) == (40, 40 / 768)
    assert (pit.mask_x, pit.mask_y) == (15 / 32, 10 / 24)
    assert (good.defect, good.mask, good.mask_area_px, good.mask_x, good.mask_y) == (GOOD, None, 0, None, None)
    assert good.derived_from is None


@pytest.mark.parametrize(("count", "base"), [(1, 1), (2, 1), (3, 1), (6, 2), (21, 7), (29, 9), (45, 10)])
def test_the_lowest_third_is_base_but_no_more_than_the_cap_and_at_least_one(product_folder, count, base):
    product_folder.good(1).defect("pit", count)
    assert splits(product_folder.root, "pit") == ["base"] * base + ["test"] * (count - base)
    names = [row.source_path for row in samples_of(product_folder.root) if row.defect == "pit"]
    assert names == sorted(names)


def test_normal_images_are_split_by_their_folder(product_folder):
    product_folder.good(2).good(3, "test").defect("pit", 1)
    assert splits(product_folder.root, GOOD) == ["base"] * 2 + ["test"] * 3


def test_a_fifth_of_the_normal_images_is_held_out_where_the_data_set_names_none(product_folder):
    product_folder.good(10).defect("pit", 1)
    assert splits(product_folder.root, GOOD) == ["base"] * 8 + ["test"] * 2


def test_set_aside_files_do_not_count_in_the_split(product_folder):
    product_folder.good(1).defect("pit", 6)
    product_folder.image("test/pit/0000.png")
    assert splits(product_folder.root, "pit") == ["base"] * 2 + ["test"] * 4


def test_rows_come_grouped_by_split_and_defect(product_folder):
    product_folder.good(1).good(1, "test").defect("pit", 3).defect("scratch", 3)
    keys = [(row.split, row.defect) for row in samples_of(product_folder.root)]
    groups = [key for index, key in enumerate(keys) if index == 0 or keys[index - 1] != key]
    assert len(groups) == len(set(groups)) == 6


def test_the_same_folder_gives_the_same_rows(product_folder):
    product_folder.defect("pit", 3).file("test/pit/bad.png", b"text")
    product_folder.mask("ground_truth/pit/bad_mask.png")
    assert rows_of(product_folder.root) == rows_of(product_folder.root)


def test_each_bad_file_is_set_aside_with_its_reason_and_a_remedy(product_folder):
    good, pit = product_folder.good(2).root / "train/good/000.png", product_folder.defect("pit", 12).root / "test/pit"
    masks = product_folder.root / "ground_truth/pit"
    (pit / "000.png").write_text("a text file")
    (pit / "001.png").write_bytes((pit / "001.png").read_bytes()[:-200])
    product_folder.mask("ground_truth/pit/002_mask.png", (9, 9))
    product_folder.mask("ground_truth/pit/003_mask.png", empty=True)
    (masks / "004_mask.png").write_bytes(b"GIF89a")
    (masks / "005_mask.png").unlink()
    (pit / "006.png").write_bytes((pit / "007.png").read_bytes())
    (pit / "008.png").write_bytes(good.read_bytes())
    (pit / "009.png").unlink()
    (masks / "011_mask.png").write_bytes(cv2.imencode(".png", np.full((24, 32), 255, np.uint8))[1].tobytes())
    expected = {
        "test/pit/000.png": (Reason.UNREADABLE_IMAGE, "the content is no PNG, JPEG, BMP or TIFF"),
        "test/pit/001.png": (Reason.UNREADABLE_IMAGE, "damaged: image file is truncated"),
        "test/pit/002.png": (Reason.SIZE_MISMATCH, "image 32 x 24 px, mask 9 x 9 px"),
        "test/pit/003.png": (Reason.EMPTY_MASK, ""),
        "test/pit/004.png": (Reason.UNREADABLE_MASK, "the content is no PNG, JPEG, BMP or TIFF"),
        "test/pit/005.png": (Reason.NO_MASK, ""),
        "test/pit/007.png": (Reason.DUPLICATE, "the same bytes as test/pit/006.png"),
        "train/good/000.png": (Reason.DUPLICATE, "the same bytes as test/pit/008.png"),
        "ground_truth/pit/009_mask.png": (Reason.NO_IMAGE, ""),
        "test/pit/011.png": (Reason.FULL_MASK, ""),
    }
    found = set_aside(product_folder.root)
    assert {path: row.reason for path, row in found.items()} == {path: reason for path, (reason, _) in expected.items()}
    for path, (reason, what) in expected.items():
        assert what in found[path].found
        assert str(product_folder.root) not in found[path].found
        assert found[path].remedy == REMEDY[reason]
    assert splits(product_folder.root, "pit") == ["base", "test", "test"]


def test_a_file_that_cannot_be_opened_is_set_aside(product_folder):
    product_folder.good(1).defect("pit", 3)

    def read_file(path):
        if path.name in ("001.png", "002_mask.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return path.read_bytes()

    rows = [row for row in rows_of(product_folder.root, read_file=read_file) if isinstance(row, SetAside)]
    assert [(row.source_path, row.reason, row.found) for row in rows] == [
        ("test/pit/001.png", Reason.UNREADABLE_IMAGE, "Permission denied"),
        ("test/pit/002.png", Reason.UNREADABLE_MASK, "Permission denied"),
    ]


SAID = "2030-01-02 Ann <ann@example.org>: not ours to use"


def digest_of(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_withdrawn_image_is_set_aside_by_its_content_whatever_it_is_called_and_is_not_opened(product_folder):
    root = product_folder.good(1).defect("pit", 4).root
    bad, copy = root / "test/pit/001.png", root / "test/pit/extra.png"
    withdrawn, opened = {digest_of(bad): SAID}, []
    copy.write_bytes(bad.read_bytes())
    product_folder.file("ground_truth/pit/001_mask.png", b"no mask at all")
    bad.rename(root / "test/pit/renamed.png")
    (root / "ground_truth/pit/001_mask.png").rename(root / "ground_truth/pit/renamed_mask.png")
    product_folder.mask("ground_truth/pit/extra_mask.png")

    def read(path):
        opened.append(path.name)
        return path.read_bytes()

    rows = rows_of(root, read_file=read, withdrawn=withdrawn)
    assert [(row.source_path, row.reason, row.found, row.remedy) for row in rows if isinstance(row, SetAside)] == [
        (f"test/pit/{name}.png", Reason.WITHDRAWN, SAID, REMEDY[Reason.WITHDRAWN]) for name in ("extra", "renamed")
    ]
    assert not {row.sha256 for row in rows if isinstance(row, Sample)} & withdrawn.keys()
    assert not {"renamed_mask.png", "extra_mask.png"} & {*opened}


def test_another_content_under_the_name_of_a_withdrawn_image_is_a_sample(product_folder):
    root = product_folder.good(1).defect("pit", 3).root
    withdrawn = {digest_of(root / "test/pit/000.png"): SAID}
    product_folder.image("test/pit/000.png", (24, 33))
    product_folder.mask("ground_truth/pit/000_mask.png", (24, 33))
    rows = rows_of(root, withdrawn=withdrawn)
    assert "test/pit/000.png" in {row.source_path for row in rows if isinstance(row, Sample)}
    assert not [row for row in rows if isinstance(row, SetAside)]


def test_the_counterpart_of_a_withdrawn_image_goes_with_it(product_folder):
    root = product_folder.defect("pit", 6).root
    withdrawn = {digest_of(root / "test/pit/000.png"): SAID}
    known = divide(root).members
    rows = [row for row in rows_of(root, withdrawn=withdrawn, known=known) if isinstance(row, Sample)]
    assert [row.derived_from for row in rows if row.defect == GOOD] == ["test/pit/001.png"]


def test_where_all_images_of_a_defect_are_withdrawn_the_reason_is_counted(product_folder):
    root = product_folder.good(1).defect("pit", 2).root
    withdrawn = {digest_of(file): SAID for file in (root / "test/pit").iterdir()}
    found = ingest.survey(PARAMS, "plate", files_of(root), Path.read_bytes, withdrawn)
    with pytest.raises(DataError, match="no usable defect image, set aside: 2 x withdrawn"):
        ingest.divide(PARAMS, "plate", found, [])


def test_a_copy_of_an_unusable_file_is_not_its_duplicate(product_folder):
    product_folder.good(1).defect("pit", 2).mask("ground_truth/pit/000_mask.png", empty=True)
    (product_folder.root / "test/pit/001.png").write_bytes((product_folder.root / "test/pit/000.png").read_bytes())
    assert {path: row.reason for path, row in set_aside(product_folder.root).items()} == {
        "test/pit/000.png": Reason.EMPTY_MASK
    }


def test_an_image_over_the_limit_and_a_file_over_it_are_set_aside(product_folder):
    product_folder.good(1).defect("pit", 1).image("test/pit/000.png", (200, 300))
    product_folder.defect("scratch", 1)
    params = PARAMS.model_copy(update={"max_megapixels": 0.05})
    rows = rows_of(product_folder.root, params)
    assert [row.reason for row in rows if isinstance(row, SetAside)] == [Reason.TOO_LARGE]
    params = PARAMS.model_copy(update={"max_file_mb": 0.01})
    rows = rows_of(product_folder.root, params, partial(read_file, limits=params))
    assert [row.reason for row in rows if isinstance(row, SetAside)] == [Reason.TOO_LARGE]


def test_a_known_split_is_kept_and_the_shots_of_one_part_stay_together(product_folder):
    root = product_folder.good(1).defect("pit", 6).root
    first = divide(root)
    assert first.sides == ["base", "base", "test", "test", "test", "test", "base"]
    shot = cv2.imread(str(root / "test/pit/004.png"))
    cv2.imwrite(str(root / "test/pit/0000.png"), np.clip(shot * 0.9, 0, 255).astype(np.uint8))
    product_folder.mask("ground_truth/pit/0000_mask.png")
    second = divide(root, first.members)
    sides = {member.source_path: member.split for member in second.members}
    assert sides["test/pit/0000.png"] == "test", "with the shot it repeats, though its name comes first"
    assert second.near_duplicates.groups == [["test/pit/0000.png", "test/pit/004.png"]]
    assert {member.source_path: member.split for member in first.members}.items() <= sides.items()
    assert divide(root, second.members).members == second.members


def divide(root, known=()):
    return ingest.divide(PARAMS, "plate", ingest.survey(PARAMS, "plate", files_of(root), Path.read_bytes, {}), known)


def test_a_mask_that_changes_while_it_is_read_stops_ingest(product_folder):
    root = product_folder.good(1).defect("pit", 1).root
    found = ingest.survey(PARAMS, "plate", files_of(root), Path.read_bytes, {})
    mask = np.zeros((24, 32), np.uint8)
    mask[2:4, 2:4] = 255
    product_folder.file("ground_truth/pit/000_mask.png", cv2.imencode(".png", mask)[1].tobytes())
    with pytest.raises(DataError, match=r"test/pit/000\.png: changed while product 'plate' was read"):
        list(ingest.run(PARAMS, "plate", found, ["base"] * 2, {}, Path.read_bytes))


def test_a_copy_of_a_held_out_image_is_held_out(product_folder):
    root = product_folder.good(2).defect("pit", 1).root
    product_folder.file("test/good/000.png", (root / "train/good/001.png").read_bytes())
    held_out = {row.source_path: row.split for row in samples_of(root) if row.defect == GOOD}
    assert held_out == {"train/good/000.png": "base", "train/good/001.png": "test"}
    assert set_aside(root)["test/good/000.png"].reason == Reason.DUPLICATE


def test_masks_that_mark_most_of_the_image_are_told(product_folder):
    root = product_folder.good(1).defect("pit", 3).root
    assert divide(root).notes == []
    for number in range(3):
        inverted = 255 - cv2.imread(str(root / f"ground_truth/pit/{number:03d}_mask.png"), cv2.IMREAD_GRAYSCALE)
        product_folder.file(f"ground_truth/pit/{number:03d}_mask.png", cv2.imencode(".png", inverted)[1].tobytes())
    (note,) = divide(root).notes
    assert note.startswith("masks of 'pit' mark most of the image (95% in the median); if they are inverted")


def test_a_file_that_changes_while_it_is_read_stops_ingest(product_folder):
    root = product_folder.good(1).defect("pit", 1).root
    found = ingest.survey(PARAMS, "plate", files_of(root), Path.read_bytes, {})
    product_folder.image("test/pit/000.png", (24, 33))
    with pytest.raises(DataError, match=r"test/pit/000\.png: changed while product 'plate' was read"):
        list(ingest.run(PARAMS, "plate", found, ["base", "base"], {}, Path.read_bytes))


def test_images_are_held_one_at_a_time(product_folder):
    root = product_folder.good(2).defect("pit", 3).root
    found = ingest.survey(PARAMS, "plate", files_of(root), Path.read_bytes, {})
    opened = []

    def read(path):
        opened.append(path.name)
        return path.read_bytes()

    samples = ingest.run(PARAMS, "plate", found, ["base"] * 5, {}, read)
    assert next(samples).source_path == "test/pit/000.png"
    assert opened == ["000.png", "000_mask.png"]


def test_without_normal_images_counterparts_of_the_base_defects_stand_in(product_folder):
    product_folder.defect("pit", 6).defect("scratch", 3)
    samples = samples_of(product_folder.root)
    parents = {row.source_path: row for row in samples if row.defect != GOOD}
    made = [row for row in samples if row.defect == GOOD]
    assert [row.derived_from for row in made] == ["test/pit/000.png", "test/pit/001.png", "test/scratch/000.png"]
    for row in made:
        parent = parents[row.derived_from]
        assert parent.split == row.split == "base"
        assert row.source_path == f"{row.derived_from}#defect_free"
        assert (row.mask, row.mask_area_px, row.mask_area_fraction, row.source_bytes) == (None, 0, 0.0, 0)
        assert row.sha256 == hashlib.sha256(decode_image(row.image).tobytes()).hexdigest() != parent.sha256
        changed = (decode_image(row.image) != decode_image(parent.image)).any(axis=2)
        assert changed[decode_mask(parent.mask)].mean() > 0.5


def test_counterparts_are_made_where_all_normal_images_are_held_out(product_folder):
    product_folder.good(2, "test").defect("pit", 1)
    good = [row for row in samples_of(product_folder.root) if row.defect == GOOD]
    assert Counter((row.split, row.derived_from is None) for row in good) == {("test", True): 2, ("base", False): 1}


def test_no_counterpart_is_made_where_there_is_a_normal_image(product_folder):
    product_folder.good(1).defect("pit", 3)
    assert not [row for row in samples_of(product_folder.root) if row.derived_from]


def test_when_nothing_is_left_the_error_counts_the_reasons(product_folder):
    product_folder.good(2).defect("pit", 3)
    for index in range(2):
        product_folder.mask(f"ground_truth/pit/00{index}_mask.png", empty=True)
    (product_folder.root / "test/pit/002.png").write_text("text")
    with pytest.raises(DataError) as caught:
        divide(product_folder.root)
    assert "product 'plate': no usable defect image, set aside: 2 x empty mask, 1 x unreadable image" in str(
        caught.value
    )


def test_a_product_without_a_file_is_refused():
    with pytest.raises(DataError, match="product 'plate': no usable defect image, set aside: no file at all"):
        ingest.divide(PARAMS, "plate", ingest.Survey([], [], 0), [])


BAD = ["text", "truncated", "size", "empty", "no mask", "only mask", "not an image", "nested", "copy", "link", "top"]


def add_bad_file(folder, kind, number):
    """Add one unusable file, or pair of files, under a name of its own."""
    name, mask = f"test/pit/bad{number}.png", f"ground_truth/pit/bad{number}_mask.png"
    if kind in ("text", "truncated", "size", "empty"):
        folder.image(name)
        folder.mask(mask, (5, 5) if kind == "size" else (24, 32), empty=kind == "empty")
    match kind:
        case "text":
            folder.file(name, b"text %d" % number)
        case "truncated":
            folder.file(name, (folder.root / name).read_bytes()[: 80 + number])
        case "no mask":
            folder.image(name)
        case "only mask":
            folder.mask(mask)
        case "not an image":
            folder.file(f"train/good/bad{number}.txt", b"notes")
        case "nested":
            folder.image(f"test/pit/deep{number}/x.png")
        case "copy":
            folder.file(f"train/good/zz{number}.png", (folder.root / "test/pit/000.png").read_bytes())
        case "link":
            (folder.root / name).symlink_to("/etc/hostname")
        case "top":
            folder.image(f"test/bad{number}.png")


def accounted(root, rows):
    """Return the files that a row stands for: itself, or a sample's mask."""
    paths = {row.source_path for row in rows}
    used = {item.source_path: item.mask for item in files_of(root) if hasattr(item, "mask")}
    return paths | {mask.relative_to(root).as_posix() for path, mask in used.items() if mask and path in paths}


@examples(max_examples=40, deadline=None)
@given(bad=st.lists(st.sampled_from(BAD), max_size=6), defects=st.integers(1, 7), normals=st.integers(0, 3))
def test_every_file_is_accounted_for_and_bad_ones_change_no_other_row(bad, defects, normals, folder_class):
    with TemporaryDirectory() as place:
        folder = folder_class(Path(place) / "plate").good(normals).defect("pit", defects)
        before = rows_of(folder.root)
        for number, kind in enumerate(bad):
            add_bad_file(folder, kind, number)
        after = rows_of(folder.root)
        assert [row for row in after if isinstance(row, Sample)] == [r for r in before if isinstance(r, Sample)]
        assert sum(isinstance(row, SetAside) for row in after) == len(bad)
        files = {file.relative_to(folder.root).as_posix() for file in folder.root.rglob("*") if file.is_file()}
        assert accounted(folder.root, after) == files | {row.source_path for row in before if row.derived_from}
        assert all(row.remedy for row in after if isinstance(row, SetAside))
        assert all(Path(row.source_path).suffix in IMAGE_SUFFIXES for row in before if not row.derived_from)
