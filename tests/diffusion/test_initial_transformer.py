import pytest
from tiny_dit import save_tiny_dit

from pipeline_tasks.diffusion.initial_transformer import WEIGHTS, found_transformer, load_transformer
from pipeline_tasks.errors import ModelError
from pipeline_tasks.storage import write_json


@pytest.fixture
def dit(tmp_path):
    return save_tiny_dit(tmp_path / "dit")


def recorded(folder, card):
    """Write what the pretrain stage records of a transformer."""
    folder.mkdir()
    write_json(folder / "pretrained.json", {"source": "elsewhere", "transformer": card})
    return folder


def test_none_is_no_transformer(tmp_path):
    assert found_transformer("none", "main") is None
    assert load_transformer(recorded(tmp_path / "pretrained", None)) is None


def test_a_folder_is_described_and_loaded_with_its_noise_schedule(dit, tmp_path):
    card = found_transformer(str(dit), "main")
    assert card["source"] == str(dit) and card["revision"] is None and len(card["digest"]) == 64
    assert card["files"].keys() == {
        "transformer/config.json",
        WEIGHTS,
        "scheduler/scheduler_config.json",
    }
    start = load_transformer(recorded(tmp_path / "pretrained", card))
    assert start.transformer.config.num_layers == 4
    assert start.scheduler.config.beta_schedule == "linear" and start.scheduler.config.prediction_type == "epsilon"


def test_weights_that_changed_since_are_refused(dit, tmp_path):
    folder = recorded(tmp_path / "pretrained", found_transformer(str(dit), "main"))
    weights = dit / WEIGHTS
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(bytes(raw))
    with pytest.raises(ModelError, match=r"diffusion_pytorch_model.safetensors: missing or changed since the pretrain"):
        load_transformer(folder)


def test_damaged_weights_name_the_folder(dit, tmp_path):
    (dit / WEIGHTS).write_bytes(b"nothing")
    folder = recorded(tmp_path / "pretrained", found_transformer(str(dit), "main"))
    with pytest.raises(ModelError, match=rf"{dit}: the DiT cannot be loaded .* make or download it again"):
        load_transformer(folder)


@pytest.mark.parametrize(
    ("lost", "left", "message"),
    [
        (WEIGHTS, None, "safetensors is missing, and weights in another format would be a pickle"),
        (WEIGHTS, "transformer/model.bin", "is a pickle, which could run code"),
        ("scheduler/scheduler_config.json", None, "scheduler_config.json is missing"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(dit, lost, left, message):
    (dit / lost).unlink()
    if left:
        (dit / left).write_bytes(b"")
    with pytest.raises(ModelError, match=message) as raised:
        found_transformer(str(dit), "main")
    assert str(raised.value).startswith(f"backend.transformer = '{dit}'")


def test_what_is_neither_a_folder_nor_a_hub_id_is_refused():
    with pytest.raises(ModelError, match=r"backend.transformer = './away': no such folder; name a folder in diffusers"):
        found_transformer("./away", "main")
