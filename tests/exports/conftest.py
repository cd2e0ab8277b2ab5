from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import rows

from pipeline_tasks.exports import export
from pipeline_tasks.exports.content import Content, ProductContent
from pipeline_tasks.images.codec import Mask, Pixels, decode_image, decode_mask
from pipeline_tasks.schema import GOOD, Pair, Sample
from pipeline_tasks.storage import write_rows

SIZES = {"plate": (61, 83), "tile": (96, 52)}
"""Height and width of the products' images."""
PAIRS = {("plate", "pit"): 12, ("plate", "scratch"): 2, ("tile", "pit"): 1, ("tile", "stain"): 21}
HOSTILE = ("../../outside/000.png", "train/good/000.png", "a b;'ü\n/x,y.png", ".hidden.png", "/etc/passwd")
CARD = "---\nlicense: cc-by-4.0\npretty_name: Plates and tiles\n---\n# Plates and tiles\n\nA card.\n"


Shown = tuple[str, str, bytes, bytes]
"""Product, defect, and the pixels of an image and of its mask; PNG files of one picture may differ."""


def shown(product: str, defect: str, image: bytes, mask: bytes | None) -> Shown:
    return product, defect, decode_image(image).tobytes(), decode_mask(mask).tobytes() if mask else b""


class Version(NamedTuple):
    """An exported version and what it was made of, by (product, defect)."""

    content: Content
    pairs: dict[tuple[str, str], list[Pair]]
    normals: dict[tuple[str, str], list[Sample]]
    """Normal images by (product, split)."""

    def export(self, name: str, out: Path) -> Path:
        export(name, self.content, CARD, out)
        return out

    def shown(self) -> list[Shown]:
        """Return what its images and masks show, in order."""
        pairs = [shown(product, defect, pair.image, pair.mask) for product, defect, pair in self.every_pair()]
        normals = [shown(p, GOOD, sample.image, None) for (p, _), made in self.normals.items() for sample in made]
        return sorted([*pairs, *normals])

    def every_pair(self) -> Iterator[tuple[str, str, Pair]]:
        for (product, defect), made in self.pairs.items():
            yield from ((product, defect, pair) for pair in made)


def host(product: str, number: int) -> Pixels:
    """Return a normal image: its own grain, in large and small."""
    height, width = SIZES[product]
    rng = np.random.default_rng([*product.encode(), number])
    patches = rng.integers(60, 200, (9, 9, 3), dtype=np.uint8)
    coarse = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.integers(-20, 20, (height, width, 3)), 0, 255).astype(np.uint8)


def awkward_mask(shape: tuple[int, int], *numbers: int) -> Mask:
    """Return a mask with a ring around a spot, pieces at the border, lone pixels, and pixels that meet at corners."""
    height, width = shape
    rng, mask = np.random.default_rng(numbers), np.zeros(shape, np.uint8)
    centre = (int(rng.integers(16, width - 16)), int(rng.integers(16, height - 16)))
    cv2.circle(mask, centre, 9, 1, -1)
    cv2.circle(mask, centre, 5, 0, -1)
    mask[centre[1], centre[0]] = 1
    mask[:4, : rng.integers(3, 9)] = 1
    mask[-1, -1] = mask[rng.integers(height), 0] = 1
    for step in range(4):
        mask[height - 9 + step, width - 9 + step] = 1
    return mask.astype(bool)


def made_pair(product: str, defect: str, index: int) -> Pair:
    pixels, mask = host(product, index % 3), awkward_mask(SIZES[product], *defect.encode(), index)
    pixels[mask] = pixels[mask] // 3 + index
    return rows.pair(
        defect,
        index,
        product=product,
        pair_id=f"{product}/{defect}/{index:06d}",
        width=mask.shape[1],
        height=mask.shape[0],
        mask_area_px=int(mask.sum()),
        prompt='a "quoted", prompt\nof two lines',
        fused_with=[1, 2] if index % 2 else [],
        image=rows.encode_image(pixels),
        mask=rows.encode_mask(mask),
        normal=rows.encode_image(host(product, index % 3)) if defect == "stain" else None,
    )


def normal_samples(product: str, split: str) -> list[Sample]:
    """Return normal images whose names are nobody's friend; of tiles there are counterparts only."""
    paths = [f"test/stain/{i}.png#defect_free" for i in range(3)] if product == "tile" else HOSTILE
    numbers = {"base": range(3), "test": range(3, 5) if product == "plate" else range(0)}[split]
    return [
        rows.sample(
            GOOD,
            number,
            split,
            host(product, number),
            np.zeros(SIZES[product], bool),
            product=product,
            source_path=paths[number],
            derived_from=paths[number].partition("#")[0] if "#" in paths[number] else None,
        )
        for number in numbers
    ]


def write_pairs(folder: Path, pairs: list[Pair], per_shard: int) -> list[Path]:
    shards = [folder / f"{start:05d}.parquet" for start in range(0, len(pairs), per_shard)]
    for number, shard in enumerate(shards):
        write_rows(shard, pairs[number * per_shard : (number + 1) * per_shard], Pair)
    return shards


@pytest.fixture(scope="session")
def write_shards() -> Callable[[Path, list[Pair], int], list[Path]]:
    """Writes pairs as tables of so many rows."""
    return write_pairs


@pytest.fixture(scope="session")
def make_pair() -> Callable[[str, str, int], Pair]:
    """Makes a pair with an awkward mask."""
    return made_pair


@pytest.fixture(scope="session")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """Two products: both have pits, one has counterparts for normal images."""
    root = tmp_path_factory.mktemp("data")
    pairs = {at: [made_pair(*at, index) for index in range(count)] for at, count in PAIRS.items()}
    normals = {(product, split): normal_samples(product, split) for product in SIZES for split in ("base", "test")}
    for (product, split), samples in normals.items():
        write_rows(root / split / product / "good.parquet", samples, Sample)
    products = {
        product: ProductContent(
            {d: write_pairs(root / p / d, made, 8) for (p, d), made in pairs.items() if p == product},
            [root / "base" / product / "good.parquet"],
            [root / "test" / product / "good.parquet"],
            {"plate": "CC-BY-4.0", "tile": "unknown"}[product],
        )
        for product in SIZES
    }
    return Version(Content("0123456789ab", products), pairs, normals)


class Ingested(NamedTuple):
    """What `defectline ingest` made of an exported folder."""

    catalog: dict[str, list[str]]
    """Defects by product."""
    samples: list[Sample]
    set_aside: list[str]

    def shown(self) -> list[Shown]:
        """Return what its images and masks show, of base and test together, in order."""
        return sorted(shown(sample.product, sample.defect, sample.image, sample.mask) for sample in self.samples)


@pytest.fixture
def ingest_again(defectline: Callable, tmp_path: Path) -> Callable[[Path], Ingested]:
    """Runs `defectline catalog` and `defectline ingest` on an exported folder, as a user would."""
    from pipeline_tasks.catalog import load_catalog
    from pipeline_tasks.schema import SetAside
    from pipeline_tasks.storage import read_rows

    def run(folder: Path) -> Ingested:
        ran = defectline("catalog", folder)
        assert ran.status == 0, ran.err
        assert "note:" not in ran.out
        catalog, set_aside, samples = load_catalog(Path("catalog.yaml")), [], []
        for name, product in catalog.products.items():
            outs = {key: f"again/{name}/{key}" for key in ("base", "test", "set-aside", "split")}
            options = [text for key, path in outs.items() for text in (f"--{key}", path)]
            ran = defectline("ingest", "--product", name, "--raw", product.path, "--layout", product.layout, *options)
            assert ran.status == 0, ran.err
            set_aside += [row.source_path for row in read_rows(Path(outs["set-aside"]), SetAside)]
            for split in ("base", "test"):
                samples += [s for table in sorted(Path(outs[split]).iterdir()) for s in read_rows(table, Sample)]
        return Ingested({name: catalog.defects_of(name) for name in catalog.products}, samples, set_aside)

    return run
