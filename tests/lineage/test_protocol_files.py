import shutil
from pathlib import Path

import pytest

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.protocol_files import ABLATIONS, PROTOCOLS, merged, read_ablation, read_protocol
from pipeline_tasks.lineage.protocol_params import Experiment, Order
from pipeline_tasks.yaml_files import read_yaml

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted(path.stem for path in (REPOSITORY / PROTOCOLS).glob("*.yaml"))
PARTS = sorted(path.stem for path in (REPOSITORY / ABLATIONS).glob("*.yaml"))
MADE_BY = {"inpainting": "inpainting", "controlnet": "scratch", "dit": "dit", "paste": "paste"}
"""A profile of each generator."""


@pytest.fixture
def root(tmp_path):
    """A copy of the shipped parameters and profiles."""
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")
    return tmp_path


def test_every_protocol_and_ablation_of_the_methods_ships():
    names = {"deepcrack-localization", "mvtec-localization", "gdxray-localization", "mvtec-classification"}
    assert set(SHIPPED) == names | {"half-split", "three-shot", "few-shot-10", "generation-quality", "timing"}
    assert {"no-hmi", "no-sff", "no-sae", "no-alignment-loss", "no-fusion", "one-prompt", "no-code"} <= set(PARTS)


@pytest.mark.parametrize("paper", [False, True])
@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_protocol_gives_valid_parameters_with_every_generator(root, name, paper):
    experiment = Experiment.read(root, Order(name, list(MADE_BY.values()), paper_budget=paper))
    first, *others = experiment.variants(experiment.protocol.draws - 1, {})
    assert [variant.generator for variant in others] == list(MADE_BY)
    assert (first.params.detector.budget == "paper") is paper
    assert first.params.choose.budget_minutes == first.params.evaluate.budget_minutes == 0, "nothing is left out"
    if name in first.params.ingest.model_fields["protocol"].annotation.__args__:
        assert first.params.ingest.protocol == name


@pytest.mark.parametrize("name", PARTS)
def test_every_shipped_ablation_changes_each_generator_that_it_names(root, name):
    for generator in read_ablation(root, name).generators:
        profile = MADE_BY[generator]
        runs = Experiment.read(root, Order("few-shot-10", [profile], [name])).variants(0, {})
        whole, without = (next(run.params for run in runs if run.name == n) for n in (profile, f"{profile}, {name}"))
        assert (whole == without) is (name == "template-prompts"), "which is what the shipped profiles have already"


@pytest.mark.parametrize(
    ("read", "folder", "kind", "known"),
    [(read_protocol, PROTOCOLS, "protocol", SHIPPED), (read_ablation, ABLATIONS, "ablation", PARTS)],
)
@pytest.mark.parametrize("name", ["few-shot-11", "../params", ""])
def test_what_is_unknown_is_named_with_what_there_is(root, read, folder, kind, known, name):
    with pytest.raises(ConfigError) as caught:
        read(root, name)
    assert str(caught.value) == f"no {kind} '{name}'; there are {', '.join(known)} (in {folder}/)"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("about: mine\n", "draws: missing"),
        ("draws: 0\n", "draws: Input should be greater than 0"),
        ("shots: 3\n", "shots: unknown key"),
        ("pairs: {count: 3, per: image}\n", "pairs.per: "),
    ],
)
def test_a_wrong_protocol_file_is_told_by_its_keys(root, content, complaint):
    file = root / PROTOCOLS / "own.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_protocol(root, "own")
    assert str(file) in str(caught.value) and complaint in str(caught.value)


def test_changes_go_in_key_by_key_and_none_keeps_an_items_place():
    values = {"a": {"b": 1, "c": [1, 2, 3]}, "d": [4, 5]}
    changes = {"a": {"b": 2, "c": [None, None, 0]}, "d": [6], "e": {"f": 7}}
    assert merged(values, changes) == {"a": {"b": 2, "c": [1, 2, 0]}, "d": [6], "e": {"f": 7}}
    assert values == {"a": {"b": 1, "c": [1, 2, 3]}, "d": [4, 5]}, "what was given stays as it was"


def test_no_fusion_keeps_the_other_blocks(root):
    blocks = read_yaml(root / "profiles/dit.yaml", "")["train"]["dit"]["blocks"]
    *_, run = Experiment.read(root, Order("few-shot-10", ["dit"], ["no-fusion"])).variants(0, {})
    assert run.params.train.dit.blocks == [*blocks[:2], 0] and blocks[2] > 0
