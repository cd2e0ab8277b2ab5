import shutil
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def profile(defectline):
    shutil.copytree(REPOSITORY / "profiles", "profiles")
    return lambda name: defectline("profile", name)


def test_what_a_profile_changes_is_told(profile):
    ran = profile("paste")
    assert (ran.status, ran.out) == (
        0,
        "params.yaml: backend.name: inpainting -> paste\nparams.yaml: generate.keep.max_similarity: 0.99 -> 1.0\n"
        "profile paste: 2 keys changed\n",
    )
    assert yaml.safe_load(Path("params.yaml").read_text())["backend"]["name"] == "paste"
    assert profile("paste").out == "profile paste: set already\n"


def test_an_unknown_profile_is_an_error(profile):
    ran = profile("gan")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error: no profile 'gan'; there are ")
