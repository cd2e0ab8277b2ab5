from pathlib import Path

import pytest

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.protocol_files import Pairs
from pipeline_tasks.lineage.protocol_params import Experiment, Order, pairs_changes, read_change, within

REPOSITORY = Path(__file__).parents[2]


def runs(protocol="few-shot-10", draw=0, pairs=None, **order):
    found = Experiment.read(REPOSITORY, Order(protocol, **order)).variants(draw, pairs or {})
    return {run.name: run.params for run in found}


def test_without_anything_else_there_is_one_run_as_the_protocol_says():
    (params,) = runs("mvtec-classification").values()
    assert params.ingest.protocol == "mvtec-classification"
    assert params.evaluate.detectors == ["classifier"] and params.detector.classifier.network == "resnet34"


def test_an_ablation_and_a_profile_are_runs_of_the_generators_arms_alone():
    found = runs(generators=["scratch"], ablations=["no-hmi", "no-sff"])
    assert list(found) == ["", "scratch", "no-hmi", "scratch, no-hmi", "scratch, no-sff"]
    assert found[""].backend.name == "inpainting" and found["scratch"].backend.name == "controlnet"
    assert [name for name, p in found.items() if p.masks.interpolated_fraction == 0] == ["no-hmi", "scratch, no-hmi"]
    assert [name for name, p in found.items() if not p.generate.controlnet.sff.enabled] == ["scratch, no-sff"]
    alone = found.pop("")
    assert {"real", "paste_50", "generator_50"} < set(alone.evaluate.arms)
    for params in found.values():
        assert params.choose.arms == ["real_flip"]
        assert params.evaluate.arms == ["real_flip", "generator_50", "generator_100", "generator_25"]


def test_an_ablation_of_no_generator_here_says_of_which_it_is():
    with pytest.raises(ConfigError, match=r"'no-sae' is of controlnet, and the generator here is inpainting, dit; add"):
        runs(generators=["dit"], ablations=["no-sae"])


def test_an_unknown_profile_is_named_with_what_there_is():
    with pytest.raises(ConfigError, match=r"no profile 'gan'; there are dit, dit-gpu, dit-xl, inpainting, paste, "):
        runs(generators=["gan"])


def test_parameters_that_are_wrong_themselves_are_told(tmp_path):
    with pytest.raises(ConfigError, match=r"params\.yaml: missing; run defectline in the folder that holds params"):
        Experiment.read(tmp_path, Order("few-shot-10"))
    (tmp_path / "params.yaml").write_text("run: {seed: 0}\n")
    with pytest.raises(ConfigError, match="ingest: missing, add it"):
        Experiment.read(tmp_path, Order("few-shot-10"))


def test_later_changes_win():
    """params.yaml, profile, protocol, the paper's budget, pairs, seeds, --set, and an ablation over them all."""
    base = runs(generators=["dit"])["dit"]
    assert base.train.steps == 600, "of the profile"
    order = {"generators": ["dit"], "paper_budget": True, "seeds": 2, "ablations": ["one-prompt"]}
    changes = ["train.steps=7", "detector.epochs=5", "train.dit.one_prompt=false", "masks.pairs_per_defect=9"]
    found = runs("half-split", pairs={"masks": {"pairs_per_defect": 40}}, changes=changes, **order)
    dit = found["dit"]
    assert (dit.train.steps, dit.detector.epochs, dit.masks.pairs_per_defect) == (7, 5, 9)
    assert dit.detector.budget == "paper" and dit.detector.classifier.epochs == 2000, "of the protocol's own paper"
    assert dit.evaluate.seeds == [0, 1]
    assert not dit.train.dit.one_prompt and found["dit, one-prompt"].train.dit.one_prompt


@pytest.mark.parametrize(
    ("protocol", "drawn"), [("mvtec-classification", "ingest.draw"), ("generation-quality", "run.seed")]
)
def test_draws_count_up_what_varies(protocol, drawn):
    section, key = drawn.split(".")
    values = [getattr(getattr(runs(protocol, draw, changes=[f"{drawn}=4"])[""], section), key) for draw in range(3)]
    assert values == [4, 5, 6]


def test_zero_shot_entries_are_not_evaluated():
    entry = "zero_shot=[{source: tile, defect: crack, product: plate}]"
    assert runs()[""].zero_shot == []
    assert len(runs(changes=[entry])[""].zero_shot) == 1, "unless that is asked for"


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("train.steps=7", {"train": {"steps": 7}}),
        ("train.learning_rate=1e-3", {"train": {"learning_rate": 0.001}}),
        ("evaluate.seeds=[0, 3]", {"evaluate": {"seeds": [0, 3]}}),
        ("backend.pretrained=a=b", {"backend": {"pretrained": "a=b"}}),
        ("generate.controlnet.sff.enabled=false", {"generate": {"controlnet": {"sff": {"enabled": False}}}}),
    ],
)
def test_a_change_is_a_key_and_a_value_in_yaml(text, change):
    assert read_change(text) == change


@pytest.mark.parametrize("text", ["train.steps", "=7", "train..steps=7", ""])
def test_what_is_no_change_says_how_to_write_one(text):
    with pytest.raises(ConfigError, match=r"write it as section\.key=value, for example train\.steps=100"):
        read_change(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("train.stepps=7", "train.stepps: unknown key"),
        ("train.steps=many", "train.steps: Input should be a valid integer, found 'many'"),
        ("train.steps=[", r"'\[' is not YAML"),
        ("evaluate=5", "evaluate: should hold keys with values, found 5"),
        ("ingest=5", "ingest: should hold keys with values, found 5"),
        ("evaluate.arms=[real]", "'real_flip' must be among the arms"),
    ],
)
def test_a_wrong_change_is_told_before_anything_runs(text, complaint):
    with pytest.raises(ConfigError, match=complaint):
        runs(changes=[text])


@pytest.mark.parametrize(
    ("pairs", "each", "total"),
    [
        (Pairs(count=1000, per="defect"), 1000, 3000),
        (Pairs(count=500, per="product"), 167, 500),
        (Pairs(count=2, per="real image"), 14, 42),
    ],
)
def test_pairs_are_counted_by_defect_product_or_real_image(pairs, each, total):
    changes = pairs_changes(pairs, defects=3, real_images=21)
    per_arm = {"pairs_per_arm": total}
    assert changes == {"masks": {"pairs_per_defect": each}, "choose": per_arm, "evaluate": per_arm}
    assert pairs_changes(None, 3, 21) == {}


def test_minutes_are_shared_out_by_the_detectors_to_train():
    order = Order("few-shot-10", ablations=["no-code"], seeds=3, changes=["choose.folds=5", "choose.repeats=2"])
    found = Experiment.read(REPOSITORY, order).variants(0, {})
    whole, alone = within(found, 60.0)
    minutes = [
        m for run in (whole, alone) for m in (run.params.choose.budget_minutes, run.params.evaluate.budget_minutes)
    ]
    trainings = [len(found[0].params.choose.arms) * 10, 10 * 3, 10, 5 * 3]
    assert minutes == pytest.approx([60 * n / sum(trainings) for n in trainings], abs=0.001)
    assert whole.params.evaluate.arms == found[0].params.evaluate.arms, "what does not fit is left out as it runs"
    assert within(found, 0.0) == found
