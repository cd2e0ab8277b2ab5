"""Is the control real? The denoising error inside held-out defects, with their own masks and with those of others.

Run in a workspace whose `train` stage is done with the ControlNet; the held-out samples are the product's test split,
which is only measured here, never learned from:

    python benchmarks/control_effect.py --product plate
"""

import argparse
from pathlib import Path

import torch

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.controlnet.control_effect import measure_control
from pipeline_tasks.controlnet.encoded_views import encode_views
from pipeline_tasks.controlnet.generator import Generator
from pipeline_tasks.diffusion.device import pick_device
from pipeline_tasks.diffusion.weights import load_base
from pipeline_tasks.params import load_params
from pipeline_tasks.prompts import PromptBook, read_prompts
from pipeline_tasks.schema import GOOD, Sample
from pipeline_tasks.storage import read_rows, sample_files

VIEWS = 2
"""Random views of each held-out image."""


def main() -> None:
    """Print both errors and their ratio, by defect and over all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--product", required=True)
    product = parser.parse_args().product
    params, name = load_params(), load_catalog().generator_of(product)
    torch.set_num_threads(params.train.threads)
    device = pick_device(params.train.device)
    generator = Generator.load(Path("data/models") / name, load_base(Path("data/pretrained") / name))
    generator.base.to(device)
    generator.control.to(device)
    prompts = by_defect_alone(read_prompts(Path("data/prompts") / f"{product}.json"))
    files = [file for file in sample_files(Path("data/test") / product) if file.stem != GOOD]
    samples = {file.stem: list(read_rows(file, Sample)) for file in files}
    for title, held_out in [*samples.items(), ("all", [s for group in samples.values() for s in group])]:
        views = encode_views(generator.base, held_out, [], prompts, params.backend, VIEWS, params.run.seed)
        error = measure_control(generator, views, VIEWS)
        ratio = error["shuffled"] / error["true"]
        print(f"{title}: {len(held_out)} images, error {error['true']:.3f}, others' masks {error['shuffled']:.3f}")
        print(f"    ratio {ratio:.2f}")


def by_defect_alone(prompts: PromptBook) -> PromptBook:
    """Return the prompts without those of single samples: held-out ones have none."""
    return PromptBook(prompts.defects, {})


if __name__ == "__main__":
    main()
