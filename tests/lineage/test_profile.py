import re
import shutil
from pathlib import Path

import pytest

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.profile import apply_profile
from pipeline_tasks.params import load_params
from pipeline_tasks.yaml_files import read_yaml

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted(path.stem for path in (REPOSITORY / "profiles").glob("*.yaml"))


@pytest.fixture
def root(tmp_path):
    """A copy of the shipped parameters and profiles."""
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")
    return tmp_path


def values_in(path):
    return read_yaml(path, "")


def leaves(values, prefix=()):
    """The keys of nested mappings and their values."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def write_profile(root, content):
    (root / "profiles" / "own.yaml").write_text(content)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_profile_gives_valid_parameters_with_its_values_and_no_others(root, name):
    params, profile = root / "params.yaml", dict(leaves(values_in(root / f"profiles/{name}.yaml")))
    before = dict(leaves(values_in(params)))
    changed = apply_profile(root, name)
    load_params(params)
    after = dict(leaves(values_in(params)))
    assert after == before | profile
    assert len(changed) == sum(before[key] != value for key, value in profile.items())


def test_every_shipped_profile_sets_the_same_keys_so_that_none_leaves_traces():
    keys = {name: {key for key, _ in leaves(values_in(REPOSITORY / f"profiles/{name}.yaml"))} for name in SHIPPED}
    assert len(SHIPPED) > 3
    assert {frozenset(found) for found in keys.values()} == {frozenset(keys["inpainting"])}


def test_the_shipped_parameters_are_those_of_the_default_profile(root):
    before = (root / "params.yaml").read_bytes()
    assert apply_profile(root, "inpainting") == []
    assert (root / "params.yaml").read_bytes() == before, "the file is not touched"


def test_one_profile_after_another_leads_back(root):
    before = values_in(root / "params.yaml")
    for name in (*SHIPPED, "inpainting"):
        apply_profile(root, name)
    assert values_in(root / "params.yaml") == before


def test_comments_order_and_other_keys_stay(root):
    path = root / "params.yaml"
    before, values = path.read_text(), dict(leaves(values_in(path)))
    write_profile(root, "train:\n  steps: 7\n  inpainting: {dilation_px: 5}\n")
    assert apply_profile(root, "own") == [
        f"train.steps: {values['train', 'steps']} -> 7",
        f"train.inpainting.dilation_px: {values['train', 'inpainting', 'dilation_px']} -> 5",
    ]
    kept, written = (re.findall(r"# .*", text) for text in (before, path.read_text()))
    assert kept == written and len(kept) > 10
    assert [key for key, _ in leaves(values_in(path))] == list(values)


def test_what_is_set_already_is_not_written_again(root):
    write_profile(root, "train: {steps: 7}\n")
    apply_profile(root, "own")
    written = (root / "params.yaml").stat().st_mtime_ns
    assert apply_profile(root, "own") == []
    assert (root / "params.yaml").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("train: {stepps: 7}\n", "train.stepps: unknown key"),
        ("trane: {steps: 7}\n", "trane: unknown key"),
        ("train: {steps: 0}\n", "train.steps: Input should be greater than 0, found 0"),
        ("train: 5\n", "train: should hold keys with values, found 5"),
        ("train: {steps: 7, batch_size: many}\n", "train.batch_size: Input should be a valid integer, found 'many'"),
        ("train: [", "not YAML"),
    ],
)
def test_a_wrong_profile_is_named_and_nothing_is_written(root, content, complaint):
    before = (root / "params.yaml").read_bytes()
    write_profile(root, content)
    with pytest.raises(ConfigError) as caught:
        apply_profile(root, "own")
    assert str(root / "profiles/own.yaml") in str(caught.value)
    assert complaint in str(caught.value)
    assert (root / "params.yaml").read_bytes() == before


@pytest.mark.parametrize("name", ["sd16", "../params", ""])
def test_an_unknown_profile_names_those_there_are(root, name):
    before = (root / "params.yaml").read_bytes()
    with pytest.raises(ConfigError, match=rf"no profile '{name}'; there are {', '.join(SHIPPED)} \(in profiles/\)"):
        apply_profile(root, name)
    assert (root / "params.yaml").read_bytes() == before


def test_missing_parameters_are_named(root):
    (root / "params.yaml").unlink()
    with pytest.raises(ConfigError, match=r"params\.yaml: missing"):
        apply_profile(root, "inpainting")
