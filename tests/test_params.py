from pathlib import Path

import pytest
import yaml

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.params import Params, Section, load_params

REPOSITORY = Path(__file__).parents[1]
SHIPPED = yaml.safe_load((REPOSITORY / "params.yaml").read_text())


def written(tmp_path: Path, **changes: object) -> Path:
    """Write the shipped parameters with changes such as train__steps=0; ... removes a key."""
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    for name, value in changes.items():
        *sections, key = name.split("__")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        if value is ...:
            del place[key]
        else:
            place[key] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def complaint(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_params(path)
    return str(caught.value)


def test_the_shipped_file_is_read_whole():
    params = load_params(REPOSITORY / "params.yaml")
    assert params.model_dump(by_alias=True) == SHIPPED


def test_no_key_has_a_second_value_in_the_code():
    ahead: list[type[Section]] = [Params]
    for section in ahead:
        for field in section.model_fields.values():
            assert field.is_required()
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                ahead.append(field.annotation)
    assert len(ahead) > len(SHIPPED) + 5, "sections within sections too"


def test_params_cannot_change():
    params = load_params(REPOSITORY / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        params.run.seed = 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train__stepps": 5}, "train.stepps: unknown key"),
        ({"trane": {}}, "trane: unknown key"),
        ({"train__steps": ...}, "train.steps: missing, add it"),
        ({"generate": ...}, "generate: missing, add it"),
        ({"train__steps": "many"}, "train.steps: Input should be a valid integer, found 'many'"),
        ({"train__steps": 10.5}, "train.steps: Input should be a valid integer, found 10.5"),
        ({"train__steps": True}, "train.steps: Input should be a valid integer, found True"),
        ({"train__steps": 0}, "train.steps: Input should be greater than 0, found 0"),
        (
            {"train__inpainting__channels": [32, 60]},
            "train.inpainting.channels.1: Input should be a multiple of 8, found 60",
        ),
        ({"generate__controlnet__sae__kap": 1}, "generate.controlnet.sae.kap: unknown key"),
        ({"generate__controlnet__sae": ...}, "generate.controlnet.sae: missing, add it"),
        ({"generate__controlnet__sff__rate": 1.5}, "generate.controlnet.sff.rate: Input should be less than or equal"),
        ({"train__learning_rate": float("nan")}, "train.learning_rate: Input should be a finite number"),
        ({"train__learning_rate": float("inf")}, "train.learning_rate: Input should be a finite number"),
        ({"train__inpainting__window_px": 40}, "train.inpainting.window_px: Input should be a multiple of 16"),
        ({"train__device": "tpu"}, "train.device: Input should be 'auto', 'cpu' or 'cuda', found 'tpu'"),
        ({"masks__flip": "yes"}, "masks.flip: Input should be a valid boolean, found 'yes'"),
        ({"masks__scale_min": 2.0}, "masks: scale_min (2.0) must not exceed scale_max (1.25)"),
        ({"generate__feather_px": 9}, "generate: feather_px (9) must not exceed dilation_px (3)"),
        ({"generate__shard_pairs": 9}, "generate: shard_pairs (9) must be a multiple of block_pairs (8)"),
        (
            {"train__controlnet__accumulate": 5},
            "train: batch_size (12) must be a multiple of accumulate x processes (5)",
        ),
        ({"masks__perlin__area_min": 0.5}, "masks.perlin: area_min (0.5) must not exceed area_max (0.03)"),
        ({"backend__name": "gan"}, "backend.name: Input should be 'inpainting', 'controlnet', 'dit' or 'paste', found"),
        ({"backend__name": "dit"}, "backend.name: dit needs prompts.kind: disentangled, not template"),
        ({"backend__transformer": "facebook/DiT-XL-2-512"}, "backend: transformer: a pretrained DiT knows the latents"),
        (
            {"train__dit__blocks": [4, 0, 4]},
            "train.dit: blocks: the second number, of defect blocks, must be 1 or more",
        ),
        ({"train__dit__ratio_min": 9.0}, "train.dit: ratio_min (9.0) must not exceed ratio_max (8.0)"),
        ({"train__dit__processes": 5}, "train: batch_size (12) must be a multiple of accumulate x processes (5)"),
        ({"generate__dit__defect_scale_min": 9.0}, "generate.dit: defect_scale_min (9.0) must not exceed defect_scale"),
        ({"generate__dit__strengths": [0.5, 1.0]}, "generate.dit: strengths ([0.5, 1.0]) must begin with 0 and rise"),
        ({"generate__dit__strengths": [0.0, 2.0, 1.0]}, "generate.dit: strengths ([0.0, 2.0, 1.0]) must begin with 0"),
        ({"backend__resolution_px": 100}, "backend.resolution_px: Input should be a multiple of 8, found 100"),
        ({"ingest__protocol": "mine"}, "ingest.protocol: Input should be 'few-shot-10', "),
        ({"ingest__max_file_mb": None}, "ingest.max_file_mb: Input should be a valid number, found None"),
        ({"ingest__white_16bit": 255}, "ingest.white_16bit: Input should be greater than or equal to 256, found 255"),
        ({"generate__keep__max_spill": 1.1}, "generate.keep.max_spill: Input should be less than or equal to 1"),
        (
            {"validate__labels__severity": "critical"},
            "validate.labels.severity: Input should be 'stop' or 'warn', found 'critical'",
        ),
        ({"prompts__template": "a {product}"}, "prompts.template: "),
        ({"prompts__names": {"p": {"d": "good"}}}, "prompts.names.p.d: 'good' names what has no defect"),
        ({"prompts__names": {"p": {"d": "big  hole"}}}, "prompts.names.p.d: "),
        ({"evaluate__seeds": 0}, "evaluate.seeds: Input should be a valid list, found 0"),
        ({"evaluate__generation__network": "clip"}, "evaluate.generation: network clip takes weights: a hub id or a "),
        ({"evaluate__generation__weights": "a/b"}, "evaluate.generation: network own takes no weights: it is trained"),
        ({"detector__threads": 1}, "detector.threads: unknown key"),
        ({"masks": 3}, "masks: should hold keys with values, found 3"),
    ],
)
def test_a_wrong_key_is_named_with_its_reason(tmp_path, changes, expected):
    path = written(tmp_path, **changes)
    message = complaint(path)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize("network", ["inception", "alexnet", "clip"])
def test_another_network_than_the_own_comes_with_its_weights(tmp_path, network):
    changes = {"evaluate__generation__network": network, "evaluate__generation__weights": "a/b"}
    assert load_params(written(tmp_path, **changes)).evaluate.generation.network == network


@pytest.mark.parametrize(("kind", "sections"), [("unet", set()), ("draem", {"draem"}), ("classifier", {"classifier"})])
def test_the_settings_of_a_detector_are_what_bears_on_it(tmp_path, kind, sections):
    found = load_params(written(tmp_path)).detector.settings_of(kind)
    expected = SHIPPED["detector"].keys() - {"device", "draem", "classifier"} | sections
    assert found == {name: SHIPPED["detector"][name] for name in expected}


@pytest.mark.parametrize(("largest", "side", "seen"), [(640, 224, 448), (640, 400, 640), (300, 224, 300)])
def test_a_classifier_is_shown_no_more_than_twice_what_it_scales_to(tmp_path, largest, side, seen):
    changes = {"detector__max_image_px": largest, "detector__classifier__resolution_px": side}
    params = load_params(written(tmp_path, **changes)).detector
    assert params.seen_by("classifier") == params.model_copy(update={"max_image_px": seen})
    assert params.seen_by("unet") == params.seen_by("draem") == params


def test_every_wrong_key_is_named_at_once(tmp_path):
    message = complaint(written(tmp_path, train__steps=-1, run__seed="zero", validate__min_pair=1))
    for key in ("train.steps", "run.seed", "validate.min_pair"):
        assert f"{key}: " in message


def test_a_whole_number_is_a_number(tmp_path):
    assert load_params(written(tmp_path, train__learning_rate=1)).train.learning_rate == 1.0


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.e-3", "0.001", "1.0e-3"])
def test_numbers_are_read_as_dvc_reads_them(tmp_path, text):
    path = written(tmp_path)
    path.write_text(path.read_text().replace("learning_rate: 0.002", f"learning_rate: {text}"))
    assert load_params(path).train.learning_rate == 0.001


def test_a_missing_file_says_where_to_run(tmp_path):
    message = complaint(tmp_path / "params.yaml")
    assert message == f"{tmp_path / 'params.yaml'}: missing; run defectline in the folder that holds params.yaml"


@pytest.mark.parametrize("content", [b"", b"- 1\n", b"text"])
def test_a_file_without_sections_is_refused(tmp_path, content):
    (tmp_path / "params.yaml").write_bytes(content)
    assert "params.yaml: the file: should hold keys with values" in complaint(tmp_path / "params.yaml")


@pytest.mark.parametrize("content", [b"run:\n\tseed: 0\n", b"run: {seed: 0", b"run: \xff\xfe\n"])
def test_what_is_not_yaml_is_named_with_its_place(tmp_path, content):
    (tmp_path / "params.yaml").write_bytes(content)
    message = complaint(tmp_path / "params.yaml")
    assert message.startswith(f"{tmp_path / 'params.yaml'}: not YAML: ")
    assert "line" in message or "position" in message
    assert "\n" not in message
