"""`defectline generate`: masks and normal images -> shards of pairs."""

import shutil
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from pipeline_tasks.commands.pair_maker import Maker


def generate(
    product: Name,
    defect: Name,
    source: Name,
    masks: Annotated[Path, typer.Option()],
    samples: Annotated[Path, typer.Option()],
    normals: Annotated[Path, typer.Option()],
    prompts: Annotated[Path, typer.Option()],
    pretrained: Annotated[Path, typer.Option()],
    model: Annotated[Path, typer.Option()],
    pairs: Annotated[Path, typer.Option()],
    parts: Annotated[Path | None, typer.Option(help="folder of what `defectline part` made, if any")] = None,
    only: Annotated[
        list[int] | None, typer.Option(help="make just the pair with this pair_index again, or these; --pairs is new")
    ] = None,
) -> None:
    """Generate as many pairs of one defect as are asked for; a killed run resumes after its last finished shard."""
    from pipeline_tasks.commands.pair_maker import Inputs, load_maker
    from pipeline_tasks.commands.pair_shards import Shards, made_in_parts
    from pipeline_tasks.commands.processes import is_main_process, spread_over_devices, together
    from pipeline_tasks.commands.remake import remake
    from pipeline_tasks.commands.work import folder_of, this_run
    from pipeline_tasks.params import load_params
    from pipeline_tasks.stages.generate import whole_shards
    from pipeline_tasks.storage import make_room, replace_folder

    params = load_params()
    if not only and spread_over_devices(params.generate.device):
        return
    asked, size, what = params.masks.pairs_per_defect, params.generate.shard_pairs, f"{product} {defect}"
    inputs = Inputs(masks, samples, normals, prompts, pretrained, model)
    made_by = this_run(inputs, [params.run, params.backend, params.generate, asked])
    with together(params.generate.device) as team:
        maker = load_maker(params, inputs, made_by, product, defect, source)
        if only:
            remake(masks, {*only}, params.generate.block_pairs, pairs, maker.make_again)
            print(f"{what}: made again by {maker.backend.name}: {', '.join(map(str, sorted({*only})))}")
            return
        work = folder_of("generate", f"{product}-{defect}", made_by.run_id)
        elsewhere = made_in_parts(parts, made_by.run_id) if parts else {}
        shards = Shards(work, masks, size, maker.make, elsewhere)
        team.begin(shards.begin)
        if team.size > 1:
            shards.make_whole(team.share(whole_shards(asked, size)), team.label(f"generate {what}"))
    if is_main_process():
        shards.fill(asked, f"generate {what}")
        _try_strengths(maker, masks, work)
        shards.gather()
        make_room(pairs)
        replace_folder(work, pairs)
        shutil.rmtree(work.parent, ignore_errors=True)
        _tell(what, maker.backend.name, pairs, asked)


def _try_strengths(maker: "Maker", masks: Path, work: Path) -> None:
    """Make a few masks at rising strengths of the defect, if the generator can."""
    from pipeline_tasks.backends.protocol import Graded
    from pipeline_tasks.schema import STRENGTH, MaskRow, StrengthTrial
    from pipeline_tasks.stages.generate import try_strengths
    from pipeline_tasks.storage import read_rows, write_rows

    tried = work / STRENGTH / "00000.parquet"
    if isinstance(maker.backend, Graded) and not tried.exists():
        rows = list(islice(read_rows(masks, MaskRow), maker.params.dit.trials))
        write_rows(tried, try_strengths(maker.backend, maker.sources, rows), StrengthTrial)


def _tell(what: str, backend: str, pairs: Path, asked: int) -> None:
    """Print how many pairs there are, and what became of the others."""
    from pipeline_tasks.manifest import read_manifest
    from pipeline_tasks.schema import REJECTED, Pair, Rejected

    attempts = read_manifest(sorted(pairs.glob("*.parquet")), Pair)["attempts"].to_pylist()
    reasons = Counter(read_manifest(sorted((pairs / REJECTED).glob("*.parquet")), Rejected)["reason"].to_pylist())
    made, again, lost = len(attempts), sum(number > 1 for number in attempts), reasons.total()
    print(f"{what}: {made} of {asked} pairs asked for by {backend}, {again} of them made again, {lost} more rejected")
    if reasons:
        print(f"{what}: rejected" + "".join(f", {number} x {reason}" for reason, number in reasons.most_common()))
    if made < asked:
        used = f"its {made + lost} masks, those in reserve included, are used up, and {lost} pairs were rejected"
        why = used if made + lost else "there is no mask of it"
        print(f"warning: {what}: {asked - made} pairs fewer than asked for: {why}")
