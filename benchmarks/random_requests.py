"""Requests for pairs of noise with square defects, for speed."""

import numpy as np
from measuring import Run
from random_models import DEFECT, PRODUCT, PROMPT

from pipeline_tasks.backends.judgement import KEEP_ALL, known_defects
from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.backends.protocol import Backend, RealDefect, Request
from pipeline_tasks.images.codec import decode_image, decode_mask, encode_image, encode_mask
from pipeline_tasks.params import Generate
from pipeline_tasks.prompts import ProductNames, PromptBook
from pipeline_tasks.provenance import MadeBy
from pipeline_tasks.schema import GOOD, MaskRow, Sample

COLUMNS = ("parent_a", "normal_path")
NAMES = ProductNames(PRODUCT, {GOOD: GOOD, DEFECT: DEFECT})


def pair_runs(backend: Backend, params: Generate, resolution_px: int) -> tuple[Run, Run]:
    """Return what renders a block of `batch_size` pairs, and what also scores, composites and encodes it."""
    rows = [mask_row(number, 2 * resolution_px, resolution_px // 4) for number in range(params.batch_size)]
    real, normals = ({path: noise_sample(path, 2 * resolution_px) for path in paths(rows, of)} for of in COLUMNS)
    prompts = PromptBook({PRODUCT: {DEFECT: PROMPT}}, {}, {PRODUCT: NAMES})
    requests = [request(row, real[row.parent_a], normals[row.normal_path]) for row in rows]
    made_by = MadeBy(code_revision="", run_id="")
    every, known = params.model_copy(update={"keep": KEEP_ALL}), known_defects(real.values())
    return (
        lambda: backend.render(requests, {}),
        lambda: list(make_pairs(backend, rows, real, normals, prompts, known, every, made_by)),
    )


def paths(rows: list[MaskRow], column: str) -> set[str]:
    """Return the distinct values of a column."""
    return {getattr(row, column) for row in rows}


def mask_row(number: int, side: int, extent: int) -> MaskRow:
    """Return a square mask somewhere in an image, on a normal image of its own."""
    mask = np.zeros((side, side), bool)
    y, x = np.random.default_rng(number).integers(0, side - extent, 2)
    mask[y : y + extent, x : x + extent] = True
    return MaskRow(
        pair_index=number,
        product=PRODUCT,
        defect=DEFECT,
        source=PRODUCT,
        seed=number,
        normal_path=f"good/{number}.png",
        normal_sha256="",
        kind="transformed",
        kind_reason="",
        parent_a=f"scratch/{number % 10}.png",
        parent_b=f"scratch/{number % 10}.png",
        alpha=0.0,
        warp=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        placement=0.0,
        attempts=1,
        mask_area_px=int(mask.sum()),
        mask=encode_mask(mask),
    )


def noise_sample(path: str, side: int) -> Sample:
    """Return a sample of noise, with a square defect in its middle."""
    pixels = np.random.default_rng([*path.encode()]).integers(90, 160, (side, side, 3), dtype=np.uint8)
    mask = np.zeros((side, side), bool)
    mask[side * 3 // 8 : side * 5 // 8, side * 3 // 8 : side * 5 // 8] = True
    area = int(mask.sum())
    return Sample(
        product=PRODUCT,
        defect=DEFECT,
        split="base",
        source_path=path,
        sha256="",
        source_bytes=1,
        width=side,
        height=side,
        mask_area_px=area,
        mask_area_fraction=area / mask.size,
        mask_x=0.5,
        mask_y=0.5,
        derived_from=None,
        group=None,
        image=encode_image(pixels),
        mask=encode_mask(mask),
    )


def request(row: MaskRow, real: Sample, normal: Sample) -> Request:
    """Return the request that a row makes."""
    parent = RealDefect(decode_image(real.image), decode_mask(real.mask or b""))
    host, mask = decode_image(normal.image), decode_mask(row.mask)
    return Request(row, host, mask, PROMPT, parent, parent, seed=row.seed, names=(PRODUCT, DEFECT))
