"""What the inpainting generator's training starts from: the prior that ships, one in a folder, or random weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_tasks.inpainting.prior_files import read_prior
from pipeline_tasks.storage import read_json

if TYPE_CHECKING:
    from diffusers import UNet2DModel

SCRATCH, PRIOR = "scratch", "prior"
"""Values of `train.init`; any other one is a folder that holds a prior."""
SHIPPED = Path(__file__).parent / "shipped"


def found_prior(init: str) -> dict[str, Any]:
    """Return the card of the prior that `train.init` names: its source, files and digest. Raises as `read_prior`."""
    card = read_prior(_folder(init))
    return {"source": init, "files": card["files"], "digest": card["digest"]}


def recorded_digest(init: str, pretrained: Path) -> str:
    """Return the digest of what `train.init` names as the pretrain stage recorded it in the folder `pretrained`."""
    return "" if init == SCRATCH else str(read_json(pretrained / "pretrained.json")["digest"])


def initial_unet(init: str, digest: str, channels: list[int], defect_count: int, seed: int) -> "UNet2DModel":
    """Return the network for `defect_count` defects that `train.init` names; `digest`: see `recorded_digest`.

    seed: of random weights. Raises as `load_prior` does.
    """
    from pipeline_tasks.inpainting.network import make_unet
    from pipeline_tasks.inpainting.prior_weights import load_prior

    if init == SCRATCH:
        return make_unet(defect_count, channels, seed)
    return load_prior(_folder(init), digest, channels, defect_count)


def _folder(init: str) -> Path:
    return SHIPPED if init == PRIOR else Path(init)
