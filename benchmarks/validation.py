"""How long the quality gate takes for a great many pairs, and how much memory: `defectline validate` as a whole.

    python benchmarks/validation.py                                 # 100,000 pairs, then a million
    python benchmarks/validation.py --pairs 100000 --shard-pairs 960

The shards are those of generate, down to their row groups, but for the pixels, which validate never reads.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pipeline_tasks.schema import GOOD, Pair, Sample, arrow_schema
from pipeline_tasks.storage import ROWS_PER_GROUP, write_rows

DEFECTS = ["crack", "pit", "scratch", "spot", "stain"]
PARAMS = Path(__file__).parents[1] / "params.yaml"
SAMPLES = 30


def options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--shard-pairs", type=int, default=96)
    return parser.parse_args()


def samples(defect: str, split: str) -> Iterator[Sample]:
    """Yield real samples of 64 x 64 px without pixels."""
    area = 0 if defect == GOOD else 40
    for index in range(SAMPLES):
        name = f"{split}/{defect}/{index:03d}.png"
        centre = None if defect == GOOD else 0.3 + 0.4 * index / SAMPLES
        size = (9, 64, 64, area, area / 4096, centre, centre)
        yield Sample(
            "plate",
            defect,
            split,
            name,
            hashlib.sha256(name.encode()).hexdigest(),
            *size,
            None,
            None,
            b"",
            b"" if area else None,
        )


def hexadecimal(rng: np.random.Generator, number: int, digits: int) -> pa.Array:
    """Return `number` random texts of so many hex digits."""
    text = rng.bytes(number * digits // 2).hex().encode()
    offsets = pa.array(np.arange(number + 1, dtype=np.int32) * digits)
    return pa.StringArray.from_buffers(number, offsets.buffers()[1], pa.py_buffer(text))


def pairs(defect: str, number: int, rng: np.random.Generator) -> pa.Table:
    """Return sound pairs of `defect` without pixels."""
    index, drawn, seeds = np.arange(number), rng.integers(SAMPLES, size=(4, number)), rng.integers(2**63, size=number)
    base = {kind: np.array([s.source_path for s in samples(kind, "base")]) for kind in (GOOD, defect)}
    normals = np.array([s.sha256 for s in samples(GOOD, "base")])
    constant = {
        "product": "plate",
        "defect": defect,
        "source": "plate",
        "backend": "inpainting",
        "normal_derived": False,
    }
    constant |= {
        "backend_digest": "a" * 64,
        "code_revision": "c" * 40,
        "run_id": "d" * 64,
        "prompt": f"{defect} plate",
        "mask_kind": "image",
        "width": 64,
        "height": 64,
    }
    constant |= {"mask_area_px": 40, "mask_area_fraction": 40 / 4096, "change_outside_max": 0, "attempts": 1}
    constant |= {"warp": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], "fused_with": [], "appearance_code": []}
    constant |= {"image": b"", "mask": b""}
    values = {
        "pair_id": [f"plate/{defect}/{i:06d}" for i in index],
        "pair_index": index,
        "seed": seeds,
        "mask_seed": seeds,
        "normal_path": base[GOOD][drawn[0]],
        "normal_sha256": normals[drawn[0]],
        **{
            name: base[defect][row]
            for name, row in zip(("parent_a", "parent_b", "nearest_base"), drawn[1:], strict=True)
        },
        **{name: rng.uniform(0.3, 0.7, number) for name in ("mask_x", "mask_y", "alpha", "alignment", "label_iou")},
        **{name: rng.uniform(0.3, 0.7, number) for name in ("spill", "nearest_similarity")},
        "change_inside": rng.uniform(5, 50, number),
        "phash": hexadecimal(rng, number, 16),
        **{name: hexadecimal(rng, number, 64) for name in ("image_sha256", "mask_sha256", "row_sha256")},
    }
    columns = [
        pa.array(values[f.name], f.type)
        if f.name in values
        else pa.repeat(pa.scalar(constant.get(f.name), f.type), number)
        for f in arrow_schema(Pair)
    ]
    return pa.Table.from_arrays(columns, schema=arrow_schema(Pair))


def write_product(folder: Path, number: int, shard_pairs: int) -> None:
    """Write what `defectline validate` reads of a product with `number` pairs to `folder`."""
    for split in ("base", "test"):
        for defect in [GOOD, *DEFECTS]:
            write_rows(folder / split / f"{defect}.parquet", samples(defect, split), Sample)
    rng = np.random.default_rng(0)
    for defect in DEFECTS:
        (folder / "pairs" / defect).mkdir(parents=True)
        made = pairs(defect, number // len(DEFECTS), rng)
        for shard, begin in enumerate(range(0, made.num_rows, shard_pairs)):
            path = folder / "pairs" / defect / f"{shard:05d}.parquet"
            pq.write_table(made.slice(begin, shard_pairs), path, ROWS_PER_GROUP, compression="lz4")
    params = yaml.safe_load(PARAMS.read_text())
    params["masks"]["pairs_per_defect"] = number // len(DEFECTS)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "masks").mkdir()


def validate(folder: Path) -> tuple[float, float, float]:
    """Run the command in `folder`; return its seconds, those of the CPU, and the most memory it used, MiB."""
    names = ["base", "test", "masks", "pairs", "result", "docs"]
    asked = [word for name in names for word in (f"--{name}", f"out/{name}" if name in ("result", "docs") else name)]
    begun = time.perf_counter()
    command = [sys.executable, "-m", "pipeline_tasks", "validate", "--product", "plate", *asked]
    process = subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(PARAMS.parent)})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"validate failed: {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure a tenth of the pairs, then all of them."""
    asked = options()
    measured = []
    for number in (asked.pairs // 10, asked.pairs):
        with tempfile.TemporaryDirectory() as folder:
            write_product(Path(folder), number, asked.shard_pairs)
            measured.append(validate(Path(folder)))
        seconds, cpu, memory = measured[-1]
        print(f"{number:9,} pairs: {seconds:6.1f} s ({cpu:.1f} s of one core), {memory:6.0f} MiB", flush=True)
    time_ratio, _, memory_ratio = (many / few for few, many in zip(*measured, strict=True))
    print(f"ten times the pairs: {time_ratio:.1f} times the seconds, {memory_ratio:.2f} times the memory")


if __name__ == "__main__":
    main()
