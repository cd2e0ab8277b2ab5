"""`defectline pretrain`: the base model or prior that a generator starts from, found or trained from scratch."""

import shutil
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_tasks.commands.names import Name
from pipeline_tasks.params import Params

NONE: dict[str, Any] = {"source": "none", "revision": None, "files": {}, "digest": "", "codec_psnr_db": None}
"""What is recorded for a generator that starts from no base model."""


def pretrain(
    generator: Name,
    base: Annotated[Path, typer.Option(help="base samples of one product, or of several in folders of their own")],
    prompts: Annotated[Path, typer.Option()],
    pretrained: Annotated[Path, typer.Option()],
) -> None:
    """Find the pretrained base model or prior, or train one from scratch on the base samples; a killed run resumes."""
    from pipeline_tasks.params import load_params

    params = load_params()
    if not params.backend.is_latent:
        _record(generator, pretrained, NONE | _prior(params))
    elif params.backend.pretrained == "scratch":
        _train(params, generator, base, prompts, pretrained)
    else:
        from pipeline_tasks.diffusion.weights import found

        start = found(params.backend.pretrained, params.backend.revision)
        _record(generator, pretrained, start | {"transformer": _transformer(params)})


def _prior(params: Params) -> dict[str, Any]:
    """Return what the card says of the prior that the inpainting generator starts from, if it starts from one."""
    from pipeline_tasks.inpainting.initial import SCRATCH, found_prior

    starts_from_one = params.backend.name == "inpainting" and params.train.init != SCRATCH
    return found_prior(params.train.init) if starts_from_one else {}


def _transformer(params: Params) -> dict[str, Any] | None:
    """Return the card of the DiT that the dit backend starts from."""
    from pipeline_tasks.diffusion.initial_transformer import found_transformer

    backend = params.backend
    return found_transformer(backend.transformer, backend.transformer_revision) if backend.name == "dit" else None


def _record(generator: str, pretrained: Path, card: dict[str, Any]) -> None:
    from pipeline_tasks.storage import atomic_folder, write_json

    with atomic_folder(pretrained) as folder:
        write_json(folder / "pretrained.json", card)
    size = sum(file["bytes"] for file in card["files"].values())
    print(f"{generator}: base model {card['source']}" + (f", {size / 1e6:,.0f} MB" if size else ""))


def _train(params: Params, generator: str, base: Path, prompts: Path, pretrained: Path) -> None:
    import torch

    from pipeline_tasks.backends.protocol import TrainingSamples
    from pipeline_tasks.commands.checkpoints import FolderCheckpoints
    from pipeline_tasks.commands.work import work_folder
    from pipeline_tasks.progress import track
    from pipeline_tasks.prompts import read_prompts
    from pipeline_tasks.schema import GOOD, Sample
    from pipeline_tasks.stages import pretrain as stage
    from pipeline_tasks.storage import atomic_folder, read_rows, sample_files

    torch.set_num_threads(params.pretrain.threads)
    work = work_folder("pretrain", generator, [base, prompts], [params.run, params.backend, params.pretrain])
    files = sample_files(base)
    trained = stage.run(
        params.pretrain,
        params.backend,
        params.run.seed,
        generator,
        TrainingSamples(
            [sample for file in files if file.stem != GOOD for sample in read_rows(file, Sample)],
            chain.from_iterable(read_rows(file, Sample) for file in files if file.stem == GOOD),
            read_prompts(prompts),
        ),
        FolderCheckpoints(work),
        lambda part, steps: iter(track(steps, f"{part} of {generator}", total=steps.stop, done=steps.start)),
    )
    with atomic_folder(pretrained) as folder:
        trained.save(folder)
    shutil.rmtree(work.parent, ignore_errors=True)
    psnr = "not measured: too few normal images" if trained.codec_psnr_db is None else f"{trained.codec_psnr_db:.1f} dB"
    print(f"{generator}: base model trained from scratch; PSNR of images that its codec has not seen: {psnr}")
