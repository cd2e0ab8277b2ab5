import json

import pytest
import torch
from tiny_prior import CHANNELS, write_prior

from pipeline_tasks.errors import ConfigError, ModelError
from pipeline_tasks.inpainting import initial
from pipeline_tasks.inpainting.appearance import PLANES
from pipeline_tasks.inpainting.initial import found_prior, initial_unet, recorded_digest
from pipeline_tasks.inpainting.network import condition_planes, make_unet, velocity
from pipeline_tasks.inpainting.prior_files import CARD, CONDITIONING, CONFIG, WEIGHTS
from pipeline_tasks.storage import write_json


@pytest.fixture
def prior(tmp_path):
    return write_prior(tmp_path / "prior")


def begun(folder, defects=0, channels=CHANNELS):
    return initial_unet(str(folder), found_prior(str(folder))["digest"], channels, defects, 0).eval()


def predicted(unet, defects, which=0):
    """What a network predicts for the same noise, hole and look, whichever defect it is told."""
    rng = torch.Generator().manual_seed(0)
    noised, look = (torch.randn(2, planes, 16, 16, generator=rng) for planes in (3, PLANES))
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, 4:12, 4:12] = 1
    condition = condition_planes(mask, mask, look, torch.full((2,), which), defects)
    with torch.inference_mode():
        return velocity(unet, noised, condition, torch.tensor([0.2, 0.7]))


@pytest.mark.parametrize("which", [0, 2])
def test_a_network_that_knows_defects_by_name_begins_by_predicting_what_the_prior_predicts(prior, which):
    before = predicted(begun(prior), 0)
    assert before.abs().max() > 0.1
    assert torch.allclose(predicted(begun(prior, 3), 3, which), before, atol=1e-5)


def test_the_planes_of_defects_can_be_learned(prior):
    unet = begun(prior, 3).train()
    condition = torch.ones(1, 2 + PLANES + 3, 16, 16)
    velocity(unet, torch.ones(1, 3, 16, 16), condition, torch.tensor([0.5])).square().mean().backward()
    assert unet.conv_in.weight.grad[:, -3 * 4 :].abs().min() > 0


def test_weights_come_back_as_they_are_in_half_precision(prior):
    state, again = begun(prior).state_dict(), make_unet(0, CHANNELS, 3).state_dict()
    assert {weight.dtype for weight in state.values()} == {torch.float32}
    assert all(torch.equal(weight, weight.half().float()) for weight in state.values())
    assert state.keys() == again.keys() and not torch.equal(state["conv_in.weight"], again["conv_in.weight"])


def test_scratch_is_random_weights_of_the_seed(tmp_path):
    first, again, other = (initial_unet("scratch", "", CHANNELS, 2, seed).conv_in.weight for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert recorded_digest("scratch", tmp_path / "nowhere") == ""


def test_prior_is_the_one_that_ships(prior, monkeypatch):
    monkeypatch.setattr(initial, "SHIPPED", prior)
    card = found_prior("prior")
    assert card == found_prior(str(prior)) | {"source": "prior"}
    assert set(card["files"]) == {CONFIG, WEIGHTS} and len(card["digest"]) == 64
    unet = initial_unet("prior", card["digest"], CHANNELS, 0, 0)
    assert torch.equal(unet.conv_in.weight, begun(prior).conv_in.weight)


def test_a_prior_that_is_another_since_it_was_recorded_is_refused(prior, tmp_path):
    write_json(tmp_path / "pretrained.json", found_prior(str(prior)))
    recorded = recorded_digest(str(prior), tmp_path)
    assert recorded == found_prior(str(prior))["digest"]
    write_prior(tmp_path / "other", seed=4).rename(tmp_path / "new")
    for file in (tmp_path / "new").iterdir():
        file.replace(prior / file.name)
    with pytest.raises(ModelError, match=r"prior: changed since the pretrain stage; run that stage again"):
        initial_unet(str(prior), recorded, CHANNELS, 1, 0)


def test_other_channels_are_refused_with_the_key_to_change(prior):
    with pytest.raises(ConfigError, match=r"train.inpainting.channels = \[8, 24\], but the prior in .* has \[8, 16\]"):
        begun(prior, channels=[8, 24])


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"nowhere: no such folder.*set train.init in params.yaml to 'scratch'"):
        found_prior("nowhere")


@pytest.mark.parametrize("name", [CARD, CONFIG, WEIGHTS])
def test_a_missing_file_is_named(prior, name):
    (prior / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}: missing; restore it, or set train.init"):
        found_prior(str(prior))


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_damaged_file_is_named_and_not_loaded(prior, name):
    content = bytearray((prior / name).read_bytes())
    content[-3] ^= 1
    (prior / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name}: damaged, for it is not what prior.json says"):
        found_prior(str(prior))


@pytest.mark.parametrize("text", ["", "[]", '{"files": {}}'])
def test_a_card_of_another_kind_is_refused(prior, text):
    (prior / CARD).write_text(text)
    with pytest.raises(ModelError, match=r"prior.json: not the card of a prior"):
        found_prior(str(prior))


def test_a_prior_for_other_planes_is_refused(prior):
    card = json.loads((prior / CARD).read_text())
    write_json(prior / CARD, card | {"conditioning": CONDITIONING + 1})
    with pytest.raises(ModelError, match=rf"for conditioning {CONDITIONING + 1}, and the network .* reads"):
        found_prior(str(prior))


def test_weights_that_are_too_large_to_ship_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline_tasks.inpainting.prior_weights.MAX_BYTES", 10_000)
    with pytest.raises(ConfigError, match=r"train.channels: the prior's weights take 0.\d MB, and at most 0 MB"):
        write_prior(tmp_path / "large")
