"""The same pairs by variants of a generator, side by side on one page: what a person sees of SAE, SFF, w_d, the masks.

Run in a workspace whose `masks` and `train` stages are done, on the parameters of its params.yaml:

    python benchmarks/variants.py --product plate --defect scratch --pairs 6 --out variants.html

Columns are pairs (first masks transformed from one real mask, then masks between two); rows are variants. Each row
tells the mean alignment of change and mask over its pairs, before any is rejected.
"""

import argparse
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from statistics import mean
from typing import Any

from pipeline_tasks.backends import load_backend
from pipeline_tasks.backends.judgement import KEEP_ALL, known_defects
from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.params import Params, load_params
from pipeline_tasks.prompts import read_prompts
from pipeline_tasks.provenance import MadeBy
from pipeline_tasks.report.pictures import window_around, zoomed, zoomed_outline
from pipeline_tasks.schema import GOOD, MaskRow, Pair, Sample
from pipeline_tasks.storage import read_rows

DATA = Path("data")
UNPUBLISHED = MadeBy(code_revision="", run_id="")
"""These pairs are looked at once and kept nowhere."""
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "controlnet": {
        "as configured": {},
        "no SAE": {"sae": {"enabled": False}},
        "no SFF": {"sff": {"enabled": False}},
        "neither": {"sae": {"enabled": False}, "sff": {"enabled": False}},
        "fused at the end (paper)": {"blend": "end"},
    },
    "dit": {
        "as configured": {},
        "w_d = 1 (ablation)": {"defect_scale_min": 1.0, "defect_scale_max": 1.0},
        "w_d = 2": {"defect_scale_min": 2.0, "defect_scale_max": 2.0},
        "w_p = 2": {"product_scale": 2.0},
        "fused at the end": {"blend": "end"},
    },
}
"""Of each backend that has any: changes of its own section of `generate`."""


def variants(params: Params) -> Iterator[tuple[str, Params]]:
    """Yield the name and the parameters of each row; nothing is rejected or made again."""
    values = params.model_dump(by_alias=True)
    values["generate"] |= {"keep": KEEP_ALL.model_dump(), "attempts": 1}
    backend, generate = params.backend.name, values["generate"]
    for name, change in VARIANTS.get(backend, {"as configured": {}}).items():
        own = {key: generate[backend][key] | new if isinstance(new, dict) else new for key, new in change.items()}
        section = {backend: generate[backend] | own} if own else {}
        yield name, Params.model_validate(values | {"generate": generate | section})
    if params.backend.name != "paste":
        yield "paste", Params.model_validate(values | {"backend": values["backend"] | {"name": "paste"}})


def chosen(masks: Path, count: int, block: int) -> list[MaskRow]:
    """Return whole blocks, and of them the indices shown: half transformed masks, half interpolated ones."""
    rows = list(read_rows(masks, MaskRow))
    shown = [row for row in rows if row.kind == "transformed"][: count // 2]
    shown += [row for row in rows if row.kind != "transformed"][: count - len(shown)]
    blocks = {row.pair_index // block for row in shown}
    return [row for row in rows if row.pair_index // block in blocks]


def picture_row(title: str, cells: Sequence[str]) -> str:
    """Return a table row of pictures given as data URIs."""
    return f"<tr><th>{escape(title)}</th>{''.join(f'<td><img src={uri!r}></td>' for uri in cells)}</tr>"


def pair_rows(product: str, defect: str, count: int) -> Iterator[str]:
    """Yield the page's rows: real samples, masks, then every variant."""
    params, item = load_params(), load_catalog().defects[f"{product}-{defect}"]
    rows = chosen(DATA / "masks" / product / f"{defect}.parquet", count, params.generate.block_pairs)
    samples, normals = (
        {s.source_path: s for s in read_rows(DATA / "base" / of / f"{name}.parquet", Sample)}
        for of, name in ((item.source, defect), (product, GOOD))
    )
    prompts = read_prompts(Path(item.prompts)).borrow(product, defect, item.source)
    real = [(decode_image(s.image), decode_mask(s.mask or b"")) for s in list(samples.values())[:count]]
    yield picture_row("real", [zoomed(image, window_around(mask)) for image, mask in real])
    known = known_defects(samples.values())
    for name, changed in variants(params):
        backend = load_backend(changed, *(DATA / folder / item.generator for folder in ("models", "pretrained")))
        results = make_pairs(backend, rows, samples, normals, prompts, known, changed.generate, UNPUBLISHED)
        made = [pair for pair in results if isinstance(pair, Pair)]
        pairs = [p for kind in (True, False) for p in made if (p.mask_kind == "transformed") is kind]
        pairs = [*pairs[: count // 2], *pairs[-(count - count // 2) :]]
        pictures = [(decode_image(p.image), decode_mask(p.mask)) for p in pairs]
        if name == "as configured":
            yield picture_row("mask", [zoomed_outline(i, m, window_around(m)) for i, m in pictures])
            yield f"<tr><th></th>{''.join(f'<td>{p.pair_index}: {p.mask_kind}</td>' for p in pairs)}</tr>"
        title = f"{name}: alignment {mean(p.alignment for p in made):.3f}, spill {mean(p.spill for p in made):.3f}"
        yield picture_row(title, [zoomed(i, window_around(m)) for i, m in pictures])
        print(title)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--product", required=True)
    parser.add_argument("--defect", required=True)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("variants.html"))
    options = parser.parse_args()
    style = "<style>body{font:14px sans-serif}th{max-width:9em;text-align:left}img{width:200px}</style>"
    table = "".join(pair_rows(options.product, options.defect, options.pairs))
    title = f"{options.product}: {options.defect}"
    options.out.write_text(f"<!doctype html><title>{title}</title>{style}<h1>{title}</h1><table>{table}</table>")
    print(options.out)


if __name__ == "__main__":
    main()
