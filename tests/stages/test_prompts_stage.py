from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from rows import sample
from settings import settings

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import ConfigError, LeakageError
from pipeline_tasks.stages import prompts

BANK = {"colour": ["dark", "bright", "red"], "shape": ["round", "long"], "size": ["tiny", "huge"]}


def prompt(template):
    return prompts.run(settings(prompts={"template": template}).prompts, "steel_plate", ["deep_pit", "scratch"])


def test_each_defect_gets_its_prompt():
    assert prompt("{defect} {product}") == {"deep_pit": "deep pit steel plate", "scratch": "scratch steel plate"}
    assert prompt("a photo of a {defect}")["scratch"] == "a photo of a scratch"


@pytest.mark.parametrize("template", ["{defect} {colour}", "{defect} {}", "{defect} {", "{defect} {defect.colour}"])
def test_a_template_with_another_placeholder_names_the_key(template):
    with pytest.raises(ConfigError) as caught:
        prompt(template)
    message = str(caught.value)
    assert message.startswith("params.yaml: prompts.template '")
    assert template in message
    assert "only {defect} and {product} may stand in it" in message


MVTEC = {
    "bottle": "broken_large broken_small contamination",
    "cable": "bent_wire cable_swap combined cut_inner_insulation cut_outer_insulation missing_cable missing_wire "
    "poke_insulation",
    "capsule": "crack faulty_imprint poke scratch squeeze",
    "carpet": "color cut hole metal_contamination thread",
    "grid": "bent broken glue metal_contamination thread",
    "hazelnut": "crack cut hole print",
    "leather": "color cut fold glue poke",
    "metal_nut": "bent color flip scratch",
    "pill": "color combined contamination crack faulty_imprint pill_type scratch",
    "screw": "manipulated_front scratch_head scratch_neck thread_side thread_top",
    "tile": "crack glue_strip gray_stroke oil rough",
    "toothbrush": "defective",
    "transistor": "bent_lead cut_lead damaged_case misplaced",
    "wood": "color combined hole liquid scratch",
    "zipper": "broken_teeth combined fabric_border fabric_interior rough split_teeth squeezed_teeth",
}
"""The folders of MVTec-AD (Bergmann et al. 2019): 73 kinds of defects."""


def disentangled(product, defects, names=()):
    return prompts.disentangle(settings(prompts={"names": dict(names)}).prompts, product, defects)


def test_every_defect_of_mvtec_ad_has_a_unified_name_and_nothing_else_has():
    shipped = yaml.safe_load(Path(prompts.__file__).with_name("unified_names.yaml").read_text())
    assert {product: sorted(names) for product, names in shipped.items()} == {p: d.split() for p, d in MVTEC.items()}
    assert sum(map(len, shipped.values())) == 73


def test_like_defects_of_different_products_share_a_name():
    found = {product: disentangled(product, defects.split())[1].defects for product, defects in MVTEC.items()}
    assert {found[p][d] for p, d in [("leather", "glue"), ("wood", "liquid"), ("tile", "oil")]} == {"liquid"}
    assert {found["screw"][d] for d in ("scratch_head", "scratch_neck")} == {found["pill"]["scratch"]}
    assert found["toothbrush"]["defective"] == found["cable"]["bent_wire"] == "bent"
    assert found["zipper"]["fabric_border"] == found["cable"]["cut_inner_insulation"] == "cut"
    assert found["metal_nut"] == {"bent": "bent", "color": "color", "flip": "flip", "scratch": "scratch"}
    assert all("_" not in name for names in found.values() for name in names.values())


def test_a_product_s_and_a_defect_s_words_make_the_fusion_prompt():
    texts, names = disentangled("metal_nut", ["good", "scratch", "deep_pit"])
    assert texts == {
        "good": "A photo of good metal nut",
        "scratch": "A photo of scratch metal nut",
        "deep_pit": "A photo of deep pit metal nut",
    }
    assert (names.product, names.defects["deep_pit"]) == ("metal nut", "deep pit")


def zero_shot_catalog(**defects):
    """A catalog in which the tile borrows `defects`, {defect: source}, and has a grey stroke of its own."""
    generator = {"base": "data/base", "prompts": "data/prompts"}
    made = {"generator": "shared", "prompts": "data/prompts"}
    entries = [("tile", "gray_stroke", "tile"), *(("tile", defect, source) for defect, source in defects.items())]
    return Catalog(
        products={name: {"path": name, "layout": "mvtec"} for name in ("tile", "leather")},
        generators={"shared": generator},
        defects={
            f"{product}-{defect}": {"product": product, "defect": defect, "source": source} | made
            for product, defect, source in entries
        },
    )


def test_a_zero_shot_defect_must_not_be_what_the_product_calls_a_defect_of_its_own():
    plain = settings().prompts
    prompts.check_zero_shot(plain, zero_shot_catalog(cut="leather"))
    message = r"zero_shot: 'color' of 'leather' is learned as 'color', and so is 'gray_stroke' of 'tile'; remove the"
    with pytest.raises(ConfigError, match=message):
        prompts.check_zero_shot(plain, zero_shot_catalog(color="leather"))
    renamed = settings(prompts={"names": {"tile": {"gray_stroke": "stroke"}}}).prompts
    prompts.check_zero_shot(renamed, zero_shot_catalog(color="leather"))


def test_names_of_params_add_to_those_that_ship_and_go_before_them():
    own = {"tile": {"crack": "thin crack", "MT_Blowhole": "blow_hole"}, "plate": {"oil": "grease"}}
    assert disentangled("tile", ["crack", "oil", "MT_Blowhole"], own)[1].defects == {
        "crack": "thin crack",
        "oil": "liquid",
        "MT_Blowhole": "blow hole",
    }
    assert disentangled("plate", ["oil", "crack"], own)[1].defects == {"oil": "grease", "crack": "crack"}


def additive(gains):
    """Return a similarity to which each phrase that stands in the text adds its gain."""
    return lambda texts: np.array(
        [0.2 + sum(gain for phrase, gain in gains.items() if phrase in text) for text in texts]
    )


def chosen(similarity, max_phrases=3, min_gain=0.01, template="{defect} {product}"):
    params = settings(prompts={"max_phrases": max_phrases, "min_gain": min_gain, "template": template}).prompts
    return prompts.choose_phrases(similarity, BANK, params, "pit", "plate")


def test_the_phrases_that_raise_the_similarity_most_are_chosen_best_first():
    assert chosen(additive({"bright": 0.05, "long": 0.09, "huge": 0.02})) == ["long", "bright", "huge"]


def test_at_most_one_phrase_of_a_category():
    assert chosen(additive({"dark": 0.09, "bright": 0.08, "red": 0.07, "tiny": 0.02})) == ["dark", "tiny"]


def test_it_ends_at_max_phrases_or_when_the_gain_is_too_small():
    gains = {"dark": 0.05, "round": 0.04, "huge": 0.03}
    assert chosen(additive(gains), max_phrases=2) == ["dark", "round"]
    assert chosen(additive(gains), min_gain=0.035) == ["dark", "round"]
    assert chosen(additive({"dark": -0.1, "round": 0.001})) == []


def test_the_first_of_equals_is_chosen():
    assert chosen(additive({"bright": 0.05, "round": 0.05})) == ["bright", "round"]


def test_phrases_are_judged_in_the_prompt_that_they_will_make():
    asked = []

    def record(texts):
        asked.append(list(texts))
        return np.array([len(text) / 1000 for text in texts])

    chosen(record, max_phrases=2, min_gain=0.001, template="a photo of a {defect} on a {product}")
    assert asked[0] == ["a photo of a pit on a plate"]
    assert asked[1][:2] == ["a photo of a dark pit on a plate", "a photo of a bright pit on a plate"]
    assert asked[2][0] == "a photo of a bright, round pit on a plate"


def greedy_by_hand(vectors, image, max_phrases, min_gain):
    """The greedy choice written out on vectors: a text is the unit sum of its phrases' and the subject's."""

    def cosine(phrases):
        total = vectors["subject"] + sum((vectors[phrase] for phrase in phrases), np.zeros(6))
        return total @ image / np.linalg.norm(total)

    category = {phrase: name for name, phrases in BANK.items() for phrase in phrases}
    found = []
    for _ in range(max_phrases):
        free = [phrase for phrase in category if category[phrase] not in {category[f] for f in found}]
        if not free:
            break
        best = max(free, key=lambda phrase: cosine([*found, phrase]))
        if cosine([*found, best]) - cosine(found) < min_gain:
            break
        found.append(best)
    return found


@given(st.integers(0, 10**6), st.integers(1, 4))
@profile(max_examples=60, deadline=None)
def test_the_choice_is_that_of_an_independent_greedy_search(seed, max_phrases):
    rng = np.random.default_rng(seed)
    phrases = [phrase for category in BANK.values() for phrase in category]
    vectors = {name: rng.standard_normal(6) for name in ["subject", *phrases]}
    image = rng.standard_normal(6)
    image /= np.linalg.norm(image)

    def similarity(texts):
        totals = [vectors["subject"] + sum((vectors[p] for p in phrases if p in text), np.zeros(6)) for text in texts]
        return np.array([total @ image / np.linalg.norm(total) for total in totals])

    assert chosen(similarity, max_phrases, 0.02) == greedy_by_hand(vectors, image, max_phrases, 0.02)


def describe(samples, look):
    return prompts.describe(settings().prompts, "steel_plate", samples, look, BANK)


def test_every_sample_is_described_by_what_is_seen_of_it():
    dark, bright = sample(number=0), sample(number=1, pixels=np.full((48, 48, 3), 200, np.uint8))
    seen = []

    def look(pixels, mask):
        seen.append((pixels.shape, int(mask.sum())))
        return additive({"dark" if pixels.mean() < 150 else "bright": 0.1})

    described = describe([dark, bright], look)
    assert described == {
        dark.source_path: "dark pit steel plate",
        bright.source_path: "bright pit steel plate",
    }
    assert seen == [((48, 48, 3), 36)] * 2


def test_samples_without_a_mask_keep_the_template():
    empty = replace(sample(), mask=None, mask_area_px=0)
    assert describe([empty], lambda pixels, mask: additive({})) == {}


def test_a_test_sample_is_an_error():
    with pytest.raises(LeakageError, match=r"prompts: 'plate/test/pit/000\.png' is a test sample"):
        describe([sample(split="test")], lambda pixels, mask: additive({}))
