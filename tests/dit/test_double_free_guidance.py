from dataclasses import replace

import pytest
import torch
from tiny_dit import tiny_tdia
from torch import Tensor

from pipeline_tasks.diffusion.blending import draw_noise
from pipeline_tasks.dit.guidance import DoubleFreeDenoiser, branches, double_free
from pipeline_tasks.dit.sampling import Scene, batch_of
from pipeline_tasks.dit.texts import Names, PartText, PartTexts

TIME, LENGTH, WIDTH = 401, 5, 16
CRACK, PIT = Names("tile", "crack"), Names("plate", "pit")


def part(words):
    rows = [draw_noise(sum(map(ord, text)), (LENGTH, WIDTH)) for text in words]
    return PartText(torch.stack(rows), torch.ones(len(rows), LENGTH, dtype=torch.bool))


def texts_for(names):
    """Texts whose embeddings are noise of their own for each wording."""
    defect = part([f"d {each.defect}" for each in names])
    fusion = part([f"f {each.defect} {each.product}" for each in names])
    name = torch.zeros(len(names), LENGTH, dtype=torch.bool)
    name[:, 2:4] = True
    return PartTexts(part([f"b {each.product}" for each in names]), defect, fusion, name)


def scene(product_scale=1.0, defect_scale=0.0, seed=0):
    noise = draw_noise(seed, (4, 8, 8))
    return Scene(
        noise, torch.tensor(product_scale), torch.tensor(defect_scale), torch.zeros(4, 8, 8), torch.ones(1, 8, 8)
    )


@torch.no_grad()
def guided(names, scenes, *, defective=True, shared=True, mapped=False):
    batch = batch_of(scenes)
    denoise = DoubleFreeDenoiser(tiny_tdia(), shared, compiled=False).condition(
        texts_for(branches(names, defective)), batch
    )
    return denoise(batch.noise, TIME, mapped)


@torch.no_grad()
def plain(names, scenes):
    """One forward of the network with each sample's own names, and its maps."""
    noise = batch_of(scenes).noise
    return tiny_tdia()(noise, torch.full((len(noise),), TIME), texts_for(names), mapped=slice(0, len(noise)))


def test_a_normal_image_at_scale_one_is_plain_sampling_of_the_good_product():
    """Eq. 4 for w_p = 1, w_d = 0 is eps(good, product)."""
    scenes = [scene(seed=1), scene(seed=2)]
    good = [Names("tile", "good"), Names("plate", "good")]
    for defective in (True, False):
        output, _ = guided([CRACK, PIT], scenes, defective=defective)
        assert torch.allclose(output, plain(good, scenes).sample, atol=1e-5)
    assert not torch.allclose(output, plain([CRACK, PIT], scenes).sample, atol=1e-2)


@pytest.mark.parametrize("shared", [True, False])
def test_it_is_eq_4_of_three_forwards(shared):
    scenes = [scene(1.5, 0.7, seed=1), scene(0.4, 3.0, seed=2)]
    output, _ = guided([CRACK, PIT], scenes, shared=shared)
    empty, of_product, of_defect = (
        plain(names, scenes).sample
        for names in (
            [Names("", "good")] * 2,
            [Names("tile", "good"), Names("plate", "good")],
            [Names("", "crack"), Names("", "pit")],
        )
    )
    for row, (w_p, w_d) in enumerate([(1.5, 0.7), (0.4, 3.0)]):
        expected = empty[row] + w_p * (of_product[row] - empty[row]) + w_d * (of_defect[row] - empty[row])
        assert torch.allclose(output[row], expected, atol=1e-4)


def test_one_step_is_linear_in_the_strength():
    at = {strength: guided([CRACK], [scene(1.0, strength)])[0] for strength in (0.0, 1.0, 4.0)}
    assert torch.allclose(at[4.0] - at[0.0], 4 * (at[1.0] - at[0.0]), atol=1e-4)
    assert (at[1.0] - at[0.0]).abs().max() > 0.1


def test_zero_shot_adds_the_defect_of_one_product_to_another():
    """Eq. 12: the defect's direction is that of Eq. 4, whatever the product."""

    def direction(product: str) -> Tensor:
        defective, normal = (guided([Names(product, "crack")], [scene(1.0, s)])[0] for s in (2.0, 0.0))
        return defective - normal

    assert torch.allclose(direction("tile"), direction("deck"), atol=1e-4)


def test_maps_are_those_of_the_defect_without_its_product():
    scenes = [scene(1.0, 2.0, seed=1), scene(1.0, 2.0, seed=2)]
    _, maps = guided([CRACK, PIT], scenes, mapped=True)
    expected = plain([Names("", "crack"), Names("", "pit")], scenes).maps
    assert maps.shape == (2, 2 * 2, 4, 4) and torch.allclose(maps, expected, atol=1e-5)
    assert guided([CRACK, PIT], scenes)[1] is None


def test_branches_without_a_product_share_the_background_part():
    seen = []
    network = tiny_tdia()
    network.parts[0][0].register_forward_hook(lambda block, inputs, output: seen.append(len(inputs[0])))
    network.parts[2][0].register_forward_hook(lambda block, inputs, output: seen.append(len(inputs[0])))
    batch = batch_of([scene(seed=1), scene(seed=2)])
    for shared, defective, expected in ((True, True, [4, 6]), (False, True, [6, 6]), (True, False, [4, 4])):
        texts = texts_for(branches([CRACK, PIT], defective))
        DoubleFreeDenoiser(network, shared, compiled=False).condition(texts, batch)(batch.noise, TIME, False)
        assert seen == expected
        seen.clear()


def test_with_one_prompt_the_background_part_sees_the_defect():
    names = branches([CRACK], True)
    texts = texts_for(names)
    one_prompt = replace(texts, background=texts.fusion, defect=texts.fusion)
    batch = batch_of([scene(1.0, 1.0)])
    shared, apart = (
        DoubleFreeDenoiser(tiny_tdia(), way, compiled=False).condition(one_prompt, batch)(batch.noise, TIME, False)[0]
        for way in (True, False)
    )
    assert not torch.allclose(shared, apart, atol=1e-2)


def test_the_weights_of_the_branches_sum_to_one():
    """So that Eq. 4 holds for v, which is linear in noise and z_t, as for noise."""
    same = draw_noise(0, (1, 4, 8, 8)).repeat(3, 1, 1, 1)
    assert torch.allclose(double_free(same, torch.tensor([2.5]), torch.tensor([7.0])), same[:1], atol=1e-5)


def test_compiling_is_asked_for_once_and_for_fixed_shapes(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda network, **options: compiled.append(options) or network)
    DoubleFreeDenoiser(tiny_tdia(), True, compiled=True)
    assert compiled == [{"dynamic": False}]
    DoubleFreeDenoiser(tiny_tdia(), True, compiled=False)
    assert len(compiled) == 1
