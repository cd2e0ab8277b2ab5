"""`defectline prior train`: prior/params.yaml -> the prior, and how its training went."""

import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_tasks.commands.checkpoints import FolderCheckpoints

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline_tasks.prior.params import PriorTrain

MODEL = Path("model")
TRAINING = Path("training.json")
POINTS = 200
"""Of the loss curve that are kept."""


def prior_train() -> None:
    """Train the prior on drawn scenes; a killed run resumes at its last checkpoint."""
    import torch

    from pipeline_tasks.commands.work import work_folder
    from pipeline_tasks.diffusion.device import pick_device, pick_dtype
    from pipeline_tasks.drawing.scene import draw_scene
    from pipeline_tasks.drawing.world import load_world
    from pipeline_tasks.inpainting.network import make_unet
    from pipeline_tasks.inpainting.prior_weights import save_prior
    from pipeline_tasks.prior.params import load_params
    from pipeline_tasks.prior.training import train_prior
    from pipeline_tasks.progress import track
    from pipeline_tasks.seeds import derive_seed
    from pipeline_tasks.storage import atomic_folder, write_json

    params = load_params()
    own, seed = params.train, params.seed
    torch.set_num_threads(own.threads)
    device = pick_device(own.device)
    work = work_folder("prior", "train", [], [seed, own])
    checkpoints = TimedCheckpoints(work)
    unet = make_unet(0, own.channels, derive_seed(seed, "weights"))
    losses = train_prior(
        unet,
        partial(draw_scene, load_world()),
        own,
        seed,
        device,
        pick_dtype(own.precision, device),
        checkpoints,
        lambda steps: iter(track(steps, "train the prior", total=steps.stop, done=steps.start)),
    )
    with atomic_folder(MODEL) as folder:
        save_prior(unet, folder, _card(seed, own, sum(weight.numel() for weight in unet.parameters())))
    write_json(TRAINING, _account(losses, checkpoints.seconds(), device, own.threads))
    shutil.rmtree(work.parent, ignore_errors=True)
    last = losses[-max(1, len(losses) // 10) :]
    print(f"{MODEL}: {len(losses):,} steps, mean loss of the last: {sum(last) / len(last):.3f}")


class TimedCheckpoints(FolderCheckpoints):
    """Checkpoints that remember for how long the training has run, over all the runs that it was resumed in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._file = folder / "seconds.json"
        self._before, self._begun = 0.0, time.monotonic()

    def load(self) -> "dict[str, Tensor] | None":
        """Return the newest state, and count on from the time that it took."""
        from pipeline_tasks.storage import read_json

        if state := super().load():
            self._before = read_json(self._file)
        return state

    def save(self, state: "dict[str, Tensor]") -> None:
        """Replace the state, and the time that it took."""
        from pipeline_tasks.storage import write_json

        write_json(self._file, self.seconds())
        super().save(state)

    def seconds(self) -> float:
        """Return how long the training has run."""
        return self._before + time.monotonic() - self._begun


def _card(seed: int, own: "PriorTrain", parameters: int) -> dict[str, Any]:
    """Return what prior.json says besides the files."""
    from pipeline_tasks.prior.scenes import scenes_of

    shape = {"window_px": own.blocks.window_px, "scenes": scenes_of(own.blocks, own.steps)}
    return {"seed": seed, "steps": own.steps, "parameters": parameters, **shape}


def _account(losses: list[float], seconds: float, device: "torch.device", threads: int) -> dict[str, Any]:
    """Return how the training went: where, for how long, and points of its loss curve."""
    import torch

    every = range(0, len(losses), max(1, len(losses) // POINTS))
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"a CPU, threads: {threads}"
    curve = {"step": list(every), "loss": [round(losses[i], 5) for i in every]}
    return {"device": where, "seconds": round(seconds), **curve}
