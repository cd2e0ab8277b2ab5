"""The prior that ships, as it lies in the package."""

import shutil
import tomllib
from pathlib import Path

import torch
import yaml

from pipeline_tasks.inpainting.initial import PRIOR, SHIPPED, found_prior, initial_unet
from pipeline_tasks.inpainting.prior_files import CARD, FILES
from pipeline_tasks.inpainting.prior_weights import MAX_BYTES
from pipeline_tasks.lineage.lock import md5_of
from pipeline_tasks.params import load_params

REPOSITORY = Path(__file__).parents[2]


def test_it_fits_the_generator_that_is_trained_by_default():
    params = load_params(REPOSITORY / "params.yaml").train
    unet = initial_unet(params.init, found_prior(params.init)["digest"], params.inpainting.channels, 2, 0)
    assert params.init == PRIOR and all(torch.isfinite(weight).all() for weight in unet.parameters())
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < MAX_BYTES + 100_000


def test_it_is_what_its_repository_made(tmp_path):
    made = yaml.safe_load((REPOSITORY / "prior/dvc.lock").read_text())["stages"]
    outs = {out["path"]: out["md5"] for stage in made.values() for out in stage["outs"]}
    for name in (*FILES, CARD):
        shutil.copy(SHIPPED / name, tmp_path)
    assert md5_of(tmp_path) == outs["model"] and md5_of(SHIPPED / "README.md") == outs["README.md"]


def test_the_package_carries_it():
    globs = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    carried = {file for glob in globs["pipeline_tasks"] for file in (REPOSITORY / "pipeline_tasks").glob(glob)}
    assert {SHIPPED / name for name in (*FILES, CARD, "README.md")} <= carried
