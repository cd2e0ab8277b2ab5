"""`defectline part`: masks and normal images -> some of the shards that `defectline generate` puts together."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from pipeline_tasks.commands.names import Name


def part(
    product: Name,
    defect: Name,
    source: Name,
    masks: Annotated[Path, typer.Option()],
    samples: Annotated[Path, typer.Option()],
    normals: Annotated[Path, typer.Option()],
    prompts: Annotated[Path, typer.Option()],
    pretrained: Annotated[Path, typer.Option()],
    model: Annotated[Path, typer.Option()],
    number: Annotated[int, typer.Option(min=0, help="which of the parts, from 0")],
    of: Annotated[int, typer.Option(min=1, help="how many parts there are")],
    pairs: Annotated[Path, typer.Option()],
) -> None:
    """Generate one part of a defect's pairs; a killed run resumes after its last finished shard."""
    from pipeline_tasks.commands.pair_maker import Inputs, load_maker
    from pipeline_tasks.commands.pair_shards import CARD, Shards
    from pipeline_tasks.commands.processes import is_main_process, spread_over_devices, together
    from pipeline_tasks.commands.work import folder_of, this_run
    from pipeline_tasks.params import load_params
    from pipeline_tasks.stages.generate import share_of, whole_shards
    from pipeline_tasks.storage import make_room, replace_folder, write_json

    params = load_params()
    if spread_over_devices(params.generate.device):
        return
    asked, size = params.masks.pairs_per_defect, params.generate.shard_pairs
    own = share_of(whole_shards(asked, size), number, of)
    inputs = Inputs(masks, samples, normals, prompts, pretrained, model)
    made_by = this_run(inputs, [params.run, params.backend, params.generate, asked])
    with together(params.generate.device) as team:
        maker = load_maker(params, inputs, made_by, product, defect, source)
        work = folder_of("part", f"{product}-{defect}-{number}", made_by.run_id)
        shards = Shards(work, masks, size, maker.make)
        team.begin(shards.begin)
        shards.make_whole(team.share(own), team.label(f"part {number} of {product} {defect}"))
    if is_main_process():
        write_json(work / CARD, {"run_id": made_by.run_id})
        make_room(pairs)
        replace_folder(work, pairs)
        shutil.rmtree(work.parent, ignore_errors=True)
        print(f"{product} {defect}: {len(own)} shards of {size} masks, part {number} of {of}")
