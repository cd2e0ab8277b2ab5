import json

import numpy as np
import pytest
import torch
from tiny_clip import save_tiny_clip

from pipeline_tasks.diffusion.clip_phrases import (
    CONTEXT,
    DEVIATION,
    MEAN,
    SMALLEST_SIDE_PX,
    defect_window,
    find_clip,
    normalise,
    open_clip,
    read_phrases,
)
from pipeline_tasks.errors import ModelError

pytestmark = pytest.mark.usefixtures("one_thread")
TEXTS = ["dark crack tile", "bright crack tile", "pit", "dark, round pit tile"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


def picture(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    mask = np.zeros((120, 160), bool)
    mask[60:80, 40:90] = True
    return pixels, mask


def test_the_bank_has_phrases_in_every_category_and_none_twice():
    bank = read_phrases()
    assert set(bank) == {"colour", "texture", "shape", "size", "position", "defect"}
    assert all(10 <= len(phrases) <= 20 for phrases in bank.values())
    phrases = [phrase for category in bank.values() for phrase in category]
    assert len(set(phrases)) == len(phrases)
    assert all(isinstance(phrase, str) and phrase == phrase.strip().lower() for phrase in phrases)


def test_similarities_are_the_model_s_own_cosines(folder):
    """transformers' own forward gives logits = scale x cosine."""
    clip, (pixels, mask) = open_clip(folder), picture()
    box = defect_window(mask)
    seen = normalise(pixels[box.y : box.y + box.height, box.x : box.x + box.width], 32, MEAN, DEVIATION)
    tokens = clip.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        whole = clip.model(**tokens, pixel_values=torch.from_numpy(seen)[None])
    expected = (whole.logits_per_image[0] / clip.model.logit_scale.exp()).numpy()
    found = clip.look(pixels, mask)(TEXTS)
    assert found == pytest.approx(expected, abs=1e-5)
    assert np.ptp(found) > 1e-3


def test_a_text_s_similarity_does_not_depend_on_the_others(folder):
    pixels, mask = picture()
    together, alone = open_clip(folder).look(pixels, mask), open_clip(folder).look(pixels, mask)
    assert together(TEXTS)[2] == alone([TEXTS[2]])[0]


def test_only_the_window_is_seen(folder):
    clip, (pixels, mask) = open_clip(folder), picture()
    elsewhere, inside = pixels.copy(), pixels.copy()
    elsewhere[:, 140:] = 0
    inside[60:80, 40:90] = 0
    first, second, third = (clip.look(image, mask)(TEXTS) for image in (pixels, elsewhere, inside))
    assert (first == second).all()
    assert (first != third).any()


def test_the_window_holds_the_defect_and_its_surroundings():
    _, mask = picture()
    box = defect_window(mask)
    assert (box.height, box.width) == (int(CONTEXT * 50), int(CONTEXT * 50))
    assert mask[box.y : box.y + box.height, box.x : box.x + box.width].sum() == mask.sum()
    tiny = np.zeros((120, 160), bool)
    tiny[0, 0] = True
    assert (defect_window(tiny).y, defect_window(tiny).height) == (0, SMALLEST_SIDE_PX)


def test_pixels_are_normalised_as_clip_does():
    image = np.full((10, 10, 3), (255, 0, 51), np.uint8)
    seen = normalise(image, 4, MEAN, DEVIATION)
    assert seen.shape == (3, 4, 4)
    for channel, value in enumerate((1.0, 0.0, 0.2)):
        assert seen[channel] == pytest.approx((value - MEAN[channel]) / DEVIATION[channel], abs=1e-6)


def test_the_folder_s_own_normalisation_is_used(folder, tmp_path):
    copy = save_tiny_clip(tmp_path)
    (copy / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    assert (open_clip(copy).mean, open_clip(copy).deviation) == ([0.5] * 3, [0.25] * 3)
    assert (open_clip(folder).mean, open_clip(folder).deviation) == (MEAN, DEVIATION)


def test_a_folder_is_found_by_its_path(folder):
    assert find_clip(str(folder)) == folder


@pytest.mark.parametrize("source", ["/nowhere/clip", "./clip", "clip"])
def test_a_missing_folder_is_named(source):
    with pytest.raises(ModelError, match=r"prompts\.clip = .*no such folder"):
        find_clip(source)


def test_an_absent_hub_model_is_named_when_offline(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"'someone/clip'.*not in the cache"):
        find_clip("someone/clip")


def damage(folder, how):
    weights = folder / "model.safetensors"
    match how:
        case "cut short":
            weights.write_bytes(weights.read_bytes()[:1000])
        case "no weights":
            weights.unlink()
        case "a pickle only":
            weights.unlink()
            torch.save({}, folder / "pytorch_model.bin")
        case "no config":
            (folder / "config.json").unlink()
        case "no tokenizer":
            for file in folder.glob("*token*"):
                file.unlink()
        case "another size":
            config = json.loads((folder / "config.json").read_text())
            config["projection_dim"] = 24
            (folder / "config.json").write_text(json.dumps(config))
        case "a weight is missing":
            from safetensors.torch import load_file, save_file

            kept = {name: value for name, value in load_file(weights).items() if "text_projection" not in name}
            save_file(kept, weights, metadata={"format": "pt"})


@pytest.mark.parametrize(
    "how",
    ["cut short", "no weights", "a pickle only", "no config", "no tokenizer", "another size", "a weight is missing"],
)
def test_a_damaged_folder_is_an_error(tmp_path, how):
    damage(save_tiny_clip(tmp_path), how)
    with pytest.raises(ModelError, match="get it again"):
        open_clip(tmp_path)
