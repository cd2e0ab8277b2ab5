from pathlib import Path

import pytest
import yaml

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.params import load_params as load_pipeline
from pipeline_tasks.prior.params import load_params

REPOSITORY = Path(__file__).parents[2]


def test_the_priors_network_is_the_generators():
    own, generators = (
        load_params(REPOSITORY / "prior/params.yaml").train,
        load_pipeline(REPOSITORY / "params.yaml").train,
    )
    assert own.channels == generators.inpainting.channels
    assert own.blocks.window_px == generators.inpainting.window_px


@pytest.mark.parametrize(
    ("section", "values", "expected"),
    [
        ("train", {"stepps": 3}, "train.stepps: unknown key"),
        ("train", {"blocks": {"window_px": 64, "batch_size": 6, "wide_every": 4}}, "train.blocks.batch_size: Input"),
        ("measure", {"scenes": 0}, "measure.scenes: Input should be greater than 0"),
    ],
)
def test_wrong_values_are_told_by_file_and_key(tmp_path, section, values, expected):
    params = yaml.safe_load((REPOSITORY / "prior/params.yaml").read_text())
    params[section] |= values
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(ConfigError, match=rf"params.yaml: {expected}"):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(ConfigError, match=r"params.yaml: missing; run this in the folder prior/"):
        load_params(tmp_path / "params.yaml")
