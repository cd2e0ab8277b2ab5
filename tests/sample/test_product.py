from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from settings import settings

from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import decode_mask, read_image
from pipeline_tasks.sample import product
from pipeline_tasks.sample.photograph import Photograph
from pipeline_tasks.sample.product import CARD, FEW_SHOT, Counts, is_sample, plan, write_product
from pipeline_tasks.storage import content_digest, read_json

TINY = Counts(train_good=2, test_good=1, per_defect=1)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the drawing by something cheap: what is tested is the folder."""

    def blank(seed: int, name: str, defect: str | None, severity: object) -> Photograph:
        return Photograph(np.full((8, 8, 3), seed + len(name), np.uint8), np.ones((8, 8), bool))

    monkeypatch.setattr(product, "photograph", blank)


def test_the_quickstart_is_few_shot_and_its_base_split_has_every_severity() -> None:
    shots = plan(FEW_SHOT)
    assert Counter((shot.split, shot.defect) for shot in shots) == {
        ("train", None): 40, ("test", None): 16, ("test", "scratch"): 24, ("test", "pit"): 24, ("test", "stain"): 24,
    }  # fmt: skip
    assert len({shot.name for shot in shots}) == len(shots)
    scratches = sorted((shot for shot in shots if shot.defect == "scratch"), key=lambda shot: shot.name)
    assert min(Counter(shot.severity.name for shot in scratches[:8]).values()) >= 2


def test_the_folder_has_the_mvtec_layout_and_the_same_seed_the_same_bytes(tmp_path: Path) -> None:
    assert write_product(tmp_path / "plate", 5, TINY)
    assert files(tmp_path / "plate") == [
        "ground_truth/pit/000_mask.png", "ground_truth/scratch/000_mask.png", "ground_truth/stain/000_mask.png",
        CARD, "test/good/000.png", "test/pit/000.png", "test/scratch/000.png", "test/stain/000.png",
        "train/good/000.png", "train/good/001.png",
    ]  # fmt: skip
    pixels = read_image((tmp_path / "plate/test/pit/000.png").read_bytes(), settings().ingest)
    mask = decode_mask((tmp_path / "plate/ground_truth/pit/000_mask.png").read_bytes())
    assert pixels.shape == (256, 256, 3)
    assert mask.shape == (256, 256)
    assert mask.any()
    assert write_product(tmp_path / "again", 5, TINY)
    assert content_digest(tmp_path / "again") == content_digest(tmp_path / "plate")


@pytest.mark.usefixtures("quick")
def test_a_product_of_the_same_seed_is_left_alone_with_what_was_added(tmp_path: Path) -> None:
    write_product(tmp_path / "plate", 5, TINY)
    (tmp_path / "plate/test/pit/mine.png").write_bytes(b"mine")
    before = content_digest(tmp_path / "plate")
    assert not write_product(tmp_path / "plate", 5, TINY)
    assert content_digest(tmp_path / "plate") == before


@pytest.mark.usefixtures("quick")
def test_an_untouched_product_of_another_seed_is_replaced(tmp_path: Path) -> None:
    write_product(tmp_path / "plate", 5, Counts(9, 1, 1))
    assert write_product(tmp_path / "plate", 6, TINY)
    assert read_json(tmp_path / "plate" / CARD)["seed"] == 6
    assert len(files(tmp_path / "plate")) == 10


@pytest.mark.usefixtures("quick")
def test_a_changed_product_of_another_seed_is_refused(tmp_path: Path) -> None:
    write_product(tmp_path / "plate", 5, TINY)
    (tmp_path / "plate/test/pit/mine.png").write_bytes(b"mine")
    with pytest.raises(DataError, match="added or changed"):
        write_product(tmp_path / "plate", 6, TINY)
    assert (tmp_path / "plate/test/pit/mine.png").read_bytes() == b"mine"


@pytest.mark.usefixtures("quick")
def test_what_is_no_sample_product_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/holiday.jpg").write_bytes(b"sun")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / CARD).write_text("[1]")
    (tmp_path / "file").write_text("text")
    for name in ("photos", "list", "file"):
        before = content_digest(tmp_path / name)
        with pytest.raises(DataError, match=name):
            write_product(tmp_path / name, 0, TINY)
        assert content_digest(tmp_path / name) == before


@pytest.mark.usefixtures("quick")
def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "plate").mkdir()
    assert write_product(tmp_path / "plate", 0, TINY)


def test_an_interrupted_drawing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shots = iter(range(2))

    def interrupted(*_: object) -> Photograph:
        if next(shots, None) is None:
            raise KeyboardInterrupt
        return Photograph(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool))

    monkeypatch.setattr(product, "photograph", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_product(tmp_path / "plate", 0, TINY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_folder_is_the_sample_as_long_as_nothing_in_it_was_added_or_changed(tmp_path: Path) -> None:
    assert not is_sample(tmp_path / "plate")
    write_product(tmp_path / "plate", 5, TINY)
    assert is_sample(tmp_path / "plate")
    (tmp_path / "plate/test/good/own.png").write_bytes(b"own")
    assert not is_sample(tmp_path / "plate")
    (tmp_path / "plate" / CARD).write_text("[]")
    assert not is_sample(tmp_path / "plate")
