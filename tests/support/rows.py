"""Rows of the tables, sound as they stand; a test names the values that matter to it."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline_tasks.images.codec import Mask, Pixels, encode_image, encode_mask
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.provenance import MadeBy, sealed
from pipeline_tasks.schema import GOOD, MaskRow, Pair, Sample, StrengthTrial

PLAIN: Pixels = np.full((48, 48, 3), 120, np.uint8)
SQUARE: Mask = np.pad(np.ones((6, 6), bool), 21)
UNMOVED = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
MADE_BY = MadeBy(code_revision="c" * 40, run_id="d" * 64)
PROMPTS = PromptBook({"plate": {d: f"{d} plate" for d in (GOOD, "pit", "scratch", "stain")}}, {})


def sample(
    defect: str = "pit",
    number: int = 0,
    split: str = "base",
    pixels: Pixels = PLAIN,
    mask: Mask = SQUARE,
    **values: Any,
) -> Sample:
    """Return a sample of `pixels` [H, W, 3] and, unless it is normal, `mask` [H, W]."""
    path, area = f"{split}/{defect}/{number:03d}.png", 0 if defect == GOOD else int(mask.sum())
    row = Sample(
        product="plate",
        defect=defect,
        split=split,
        source_path=path,
        sha256=digest(path),
        source_bytes=9,
        width=pixels.shape[1],
        height=pixels.shape[0],
        mask_area_px=area,
        mask_area_fraction=area / mask.size,
        mask_x=None if defect == GOOD else float(np.nonzero(mask)[1].mean() + 0.5) / pixels.shape[1],
        mask_y=None if defect == GOOD else float(np.nonzero(mask)[0].mean() + 0.5) / pixels.shape[0],
        derived_from=None,
        group=None,
        image=encode_image(pixels),
        mask=None if defect == GOOD else encode_mask(mask),
    )
    return replace(row, **values)


def noisy_sample(defect: str = "pit", number: int = 0, split: str = "base") -> Sample:
    """Return a sample of noise, another for each number, with a dark square where it is defective: 48 x 40 px."""
    pixels = np.random.default_rng(number).integers(90, 160, (40, 48, 3), dtype=np.uint8)
    mask = np.zeros((40, 48), bool)
    mask[10:18, 20:28] = defect != GOOD
    pixels[mask] //= 2
    return sample(defect, number, split, pixels, mask)


def mask_row(index: int = 0, mask: Mask = SQUARE, **values: Any) -> MaskRow:
    """Return the row of `mask` [H, W], a real one moved onto the first normal image."""
    row = MaskRow(
        pair_index=index,
        product="plate",
        defect="pit",
        source="plate",
        seed=1000 + index,
        normal_path="base/good/000.png",
        normal_sha256=digest("base/good/000.png"),
        kind="transformed",
        kind_reason="one real mask",
        parent_a="base/pit/000.png",
        parent_b="base/pit/000.png",
        alpha=0.0,
        warp=UNMOVED,
        placement=0.15,
        attempts=1,
        mask_area_px=int(mask.sum()),
        mask=encode_mask(mask),
    )
    return replace(row, **values)


def pair(defect: str = "pit", index: int = 0, **values: Any) -> Pair:
    """Return a pair of the first parent and the first normal image, of plain pixels, sealed as it is."""
    row = Pair(
        pair_id=f"plate/{defect}/{index:06d}",
        pair_index=index,
        product="plate",
        defect=defect,
        source="plate",
        seed=1000 + index,
        mask_seed=1000 + index,
        attempts=1,
        backend="inpainting",
        backend_digest="a" * 64,
        code_revision=MADE_BY.code_revision,
        run_id=MADE_BY.run_id,
        prompt=f"{defect} plate",
        normal_path="base/good/000.png",
        normal_sha256=digest("base/good/000.png"),
        normal_derived=False,
        mask_kind="transformed",
        parent_a=f"base/{defect}/000.png",
        parent_b=f"base/{defect}/000.png",
        alpha=0.0,
        warp=UNMOVED,
        width=48,
        height=48,
        mask_area_px=36,
        mask_area_fraction=36 / 2304,
        mask_x=0.5,
        mask_y=0.5,
        reference=None,
        appearance_code=[-0.2, -0.1, 0.05, 0.1, 0.02, 0.3],
        fused_with=[],
        alignment=0.9,
        label_iou=0.6,
        spill=0.05,
        change_inside=12.5,
        change_outside_max=0,
        product_scale=None,
        defect_scale=None,
        agreement=None,
        nearest_base=f"base/{defect}/000.png",
        nearest_similarity=0.5,
        phash=digest(f"phash {defect} {index}")[:16],
        image_sha256=digest(f"{defect} {index}"),
        mask_sha256=digest(f"mask of {defect} {index}"),
        row_sha256="",
        image=encode_image(PLAIN),
        mask=encode_mask(SQUARE),
        normal=None,
    )
    made = replace(row, **values)
    return made if "row_sha256" in values else sealed(made)


def trials(rows: int, changed: list[int], agreement: float = 0.6) -> list[StrengthTrial]:
    """Return the trials of so many mask rows; each changes `changed[w_d]` of 100 pixels at w_d = 0, 1, ..."""
    parts = [np.full((10, 10, 3), 120, np.uint8) for _ in changed]
    for part, number in zip(parts, changed, strict=True):
        part.reshape(-1, 3)[:number] = 40
    return [
        StrengthTrial(
            product="plate",
            defect="pit",
            source="plate",
            pair_index=row,
            seed=1000 + row,
            product_scale=1.0,
            defect_scale=float(strength),
            changed_px=number,
            changed_fraction=number / 100,
            mask_area_px=number,
            agreement=agreement,
            image=encode_image(part),
            normal=encode_image(parts[0]),
            attention=encode_mask(part[..., 0] < 120),
            mask=encode_mask(part[..., 0] < 120),
        )
        for row in range(rows)
        for strength, (number, part) in enumerate(zip(changed, parts, strict=True))
    ]


def digest(text: str) -> str:
    """Return a SHA-256 (hex) that stands for the content called `text`."""
    return hashlib.sha256(text.encode()).hexdigest()
