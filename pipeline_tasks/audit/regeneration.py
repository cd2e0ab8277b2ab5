"""Pairs made again: the recorded command of their stage, at the recorded revision, on the recorded inputs.

Nothing is used but git and what DVC keeps: the version's own code runs in a folder of its own, beside the libraries
that are installed.
"""

import os
import random
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pipeline_tasks.audit.chain import Link, Verdict
from pipeline_tasks.audit.pair_likeness import Likeness, likeness
from pipeline_tasks.audit.stage_links import Ground
from pipeline_tasks.audit.tables import Tables, unread
from pipeline_tasks.catalog import PARTS, Catalog
from pipeline_tasks.errors import DataError, DefectlineError
from pipeline_tasks.lineage.lock import Output
from pipeline_tasks.manifest import read_manifest, read_selected
from pipeline_tasks.provenance import sealed
from pipeline_tasks.schema import Pair
from pipeline_tasks.yaml_files import read_yaml, to_yaml

NAME = "pairs made again"
COMMAND = ["defectline", "generate"]
"""What the recorded command of the stage begins with."""
ERROR = "error: "
"""What a line of a DefectlineError begins with."""
PAIRS = "--pairs"
PRECISIONS = ("float32", "bfloat16")
"""What generate.precision: auto may mean."""
NO_GPU = "PyTorch sees no GPU"
"""What is said where a version wants a GPU."""
EDITED = "see whether rows, inputs or code were edited"
LIKE_IT = "make it on hardware of the kind that made it: there the bytes are equal"


@dataclass(frozen=True)
class Unmade:
    """Why no pair was made."""

    verdict: Verdict
    reason: str


def regeneration_links(
    ground: Ground, catalog: Catalog, number: int, on_gpu: bool, distrusted: str | None
) -> Iterator[Link]:
    """Yield a link for each of `number` pairs, drawn at random over all, that is made again and compared.

    Pixels and columns must be equal. Where they are not, but as the rounding of other hardware makes them (see
    pair_likeness), a pair made on a GPU (`on_gpu`) holds; one made on a CPU is left unchecked, since only a CPU of the
    same kind rounds alike. distrusted: why the version's code must not run here, a sentence; else None. Raises
    TransientError if the remote cannot be read or the disk is full.
    """
    if distrusted is not None:
        yield Link(NAME, "unchecked", f"its code was not run: {distrusted}", "mend the chain of git first")
        return
    try:
        with TemporaryDirectory(prefix="defectline-") as folder:
            originals = _originals(Tables(ground.lock, ground.objects, Path(folder)), catalog, number)
    except Exception as error:  # whatever is in the tables, the audit goes on
        yield _unread(NAME, error)
        return
    for key, pairs in originals.items():
        yield from _again(ground, f"generate@{key}", pairs, on_gpu)


def _originals(tables: Tables, catalog: Catalog, number: int) -> dict[str, list[Pair]]:
    """Return pairs drawn at random over all, by the key of their defect."""
    outputs = {key: tables.lock.output(f"generate@{key}") for key in catalog.defects}
    there = [(key, i) for key in catalog.defects for i in _indices(tables, outputs[key])]
    drawn: dict[str, set[int]] = defaultdict(set)
    for key, index in random.SystemRandom().sample(there, min(number, len(there))):
        drawn[key].add(index)
    return {key: list(_rows(tables, outputs[key], indices)) for key, indices in sorted(drawn.items())}


def _indices(tables: Tables, output: Output) -> list[int]:
    return [i for shard in tables.shards(output) for i in read_manifest([shard], Pair)["pair_index"].to_pylist()]


def _rows(tables: Tables, output: Output, indices: set[int]) -> Iterator[Pair]:
    for shard in tables.shards(output):
        yield from read_selected([shard], Pair, "pair_index", indices)


def _unread(name: str, error: Exception) -> Link:
    """Return the link for pairs that cannot be made again here; what is wrong with the tables is told elsewhere."""
    return replace(unread(name, error, "the pairs and of what they are made of"), verdict="unchecked")


def _again(ground: Ground, stage: str, originals: Sequence[Pair], on_gpu: bool) -> Iterator[Link]:
    try:
        made = _remade(ground, stage, [pair.pair_index for pair in originals])
        elsewhere = {} if isinstance(made, Unmade) else _in_its_precision(ground, stage, originals, made)
    except Exception as error:  # whatever the version's code wrote, the audit goes on
        yield from (_unread(_name(pair), error) for pair in originals)
        return
    for pair in originals:
        if isinstance(made, Unmade):
            remedy = "see what the command says; it needs the libraries of its time"
            yield Link(_name(pair), made.verdict, made.reason, remedy)
        elif pair.pair_index in elsewhere:
            yield _compared_elsewhere(pair, elsewhere[pair.pair_index], on_gpu)
        else:
            yield _compared(pair, made.get(pair.pair_index), on_gpu)


def _name(pair: Pair) -> str:
    return f"pair {pair.pair_id} made again"


def _remade(ground: Ground, stage: str, indices: Sequence[int]) -> "dict[int, Pair] | Unmade":
    """Return the pairs that the stage's command makes, or why it made none."""
    with TemporaryDirectory(prefix="defectline-") as folder:
        command = _command(ground, stage, indices, folder)
        if command is None:
            return Unmade("unchecked", f"dvc.lock: the command of {stage} is no `defectline generate` with --pairs")
        try:
            _place_inputs(ground, stage)
        except DataError as error:
            return Unmade("unchecked", f"the inputs of {stage} cannot be had: {error}")
        environment = {**os.environ, "PYTHONPATH": str(ground.tree)}
        done = subprocess.run(
            command, cwd=ground.tree, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            return _failure(done.returncode, done.stderr or done.stdout)
        tables = sorted(Path(folder).glob("*.parquet"))
        return {pair.pair_index: pair for pair in read_selected(tables, Pair, "pair_index", {*indices})}


def _failure(status: int, told: str) -> Unmade:
    """Return why a command made nothing: a fault of the version only where its own code says so of what it was given.

    A crash, a library that is not there or refuses, a missing GPU or a full disk say nothing of the version.
    """
    refused = [line for line in told.splitlines() if line.startswith(ERROR)]
    is_fault = status == DefectlineError.status and bool(refused) and NO_GPU not in told
    lines = [line.strip(" │╭╮╰╯─") for line in told.splitlines()]
    last = " ".join([line for line in lines if line][-3:])
    reason = f"`defectline generate --only` ended with status {status}: {last}"
    return Unmade("broken" if is_fault else "unchecked", reason)


def _command(ground: Ground, stage: str, indices: Iterable[int], pairs: str) -> list[str] | None:
    """Return the stage's recorded command for these pairs alone, its output in the folder `pairs`; None if it is none
    that can be given them.
    """
    try:
        recorded = shlex.split(str(ground.lock.stages[stage]["cmd"]))
        recorded[recorded.index(PAIRS) + 1] = pairs
    except (IndexError, KeyError, ValueError):  # no command, no such word or none after it
        return None
    only = [word for index in indices for word in ("--only", str(index))]
    own = [sys.executable, "-m", "pipeline_tasks"]
    return [*own, *recorded[1:], *only] if recorded[:2] == COMMAND else None


def _place_inputs(ground: Ground, stage: str) -> None:
    """Fetch what a stage reads of other stages to its place in the tree; git's files are there.

    Its parts stay away: they hold the pairs themselves. Raises DataError if an input cannot be had, or lies outside of
    the tree.
    """
    for dep in ground.lock.stages[stage].get("deps", []):
        path = PurePosixPath(dep["path"])
        if path.is_relative_to(PARTS):
            continue
        within = {output: md5 for output, md5 in ground.outputs.items() if path in output.parents}
        for place, md5 in (within or {path: dep.get("md5", "")}).items():
            target = ground.tree / place
            if not target.resolve().is_relative_to(ground.tree.resolve()):
                raise DataError(f"{place}: outside of the repository")
            if not target.exists():
                ground.objects.fetch(Output(Path(place), md5), target)


def _in_its_precision(
    ground: Ground, stage: str, originals: Sequence[Pair], made: Mapping[int, Pair]
) -> dict[int, Pair]:
    """Return the pairs made once more in the precision that they were made in, where `auto` is another one here.

    The precision is part of the generator's digest; a pair whose digest comes out in none is left out.
    """
    digests = {pair.pair_index: pair.backend_digest for pair in originals}
    other = [index for index, pair in made.items() if pair.backend_digest != digests[index]]
    found: dict[int, Pair] = {}
    if not other or ground.params["generate"]["precision"] != "auto":
        return found
    for precision in PRECISIONS:
        with _set_precision(ground.tree / "params.yaml", precision):
            again = _remade(ground, stage, other)
        if not isinstance(again, Unmade):
            found |= {index: pair for index, pair in again.items() if pair.backend_digest == digests[index]}
    return found


@contextmanager
def _set_precision(file: Path, precision: str) -> Iterator[None]:
    kept = file.read_bytes()
    params = read_yaml(file, "restore it from git")
    params["generate"]["precision"] = precision
    file.write_text(to_yaml(params))
    try:
        yield
    finally:
        file.write_bytes(kept)


def _compared_elsewhere(then: Pair, now: Pair, on_gpu: bool) -> Link:
    """Return the link for a pair that hardware of another precision made: what differs here proves nothing."""
    link = _compared(then, sealed(replace(now, run_id=then.run_id)), on_gpu)
    told = f"made in a precision that is not this machine's; {link.found}"
    return replace(link, found=told) if link.verdict != "broken" else Link(link.name, "unchecked", told, LIKE_IT)


def _compared(then: Pair, now: Pair | None, on_gpu: bool) -> Link:
    if now is None:
        return Link(_name(then), "broken", "the command ended well, and made no such pair", EDITED)
    like = likeness(then, now)
    told = f"its image differs by {like.mean:.3f} grey levels in the mean, {like.most:.0f} at most"
    if like.beyond:
        image = f"{told}; " if "image" in like.beyond else ""
        return Link(_name(then), "broken", f"{image}other than before: {', '.join(like.beyond)}", EDITED)
    if not like.rounded:
        return Link(_name(then), "ok", _same(like, now))
    within = f"{told}: within the rounding of other hardware ({', '.join(like.rounded)})"
    return Link(_name(then), "ok", within) if on_gpu else Link(_name(then), "unchecked", within, LIKE_IT)


def _same(like: Likeness, now: Pair) -> str:
    later = f", made by later code ({now.code_revision[:12]})"
    if like.encoded:
        return f"the same pixels; PNG bytes of another encoder{later if like.later else ''}"
    if like.later:
        return f"image and mask byte for byte the same{later}"
    return "the same in every column, image and mask byte for byte"
