import pytest
import torch
from tiny_training import tiny_base

from pipeline_tasks.controlnet.network import ControlledUNet, known_latents, make_control


@pytest.fixture(scope="module", params=[4, 9])
def base(request, tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"), in_channels=request.param)


def test_a_fresh_control_changes_nothing(base):
    rng = torch.Generator().manual_seed(0)
    noised, text = torch.randn(2, 4, 16, 16, generator=rng), torch.randn(2, 16, 16, generator=rng)
    known = torch.randn(2, 5, 16, 16, generator=rng) if base.inpaints else None
    mask, times = torch.randint(2, (2, 1, 64, 64), generator=rng).float(), torch.tensor([10, 700])
    seen = noised if known is None else torch.cat([noised, known], dim=1)
    with torch.no_grad():
        controlled = ControlledUNet(base.unet, make_control(base, 1))(noised, times, text, mask, known)
        plain = base.unet(seen, times, encoder_hidden_states=text).sample
    torch.testing.assert_close(controlled, plain)


def test_a_fresh_control_copies_the_bases_encoder_and_takes_latents_alone(base):
    control = make_control(base, 1)
    assert control.config.in_channels == control.conv_in.in_channels == 4
    assert torch.equal(control.conv_in.weight, base.unet.conv_in.weight[:, :4])
    assert torch.equal(control.mid_block.resnets[0].conv1.weight, base.unet.mid_block.resnets[0].conv1.weight)


def test_fresh_weights_depend_on_the_seed_alone(base):
    first, again, other = (make_control(base, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_what_is_known_hides_the_hole(base):
    hole = torch.zeros(1, 1, 64, 64)
    hole[..., 9, 20] = 1
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    changed = torch.where(hole > 0, -pixels, pixels)
    known = known_latents(base, pixels, hole)
    assert torch.equal(known, known_latents(base, changed, hole))
    assert known[:, :1].nonzero().tolist() == [[0, 0, 2, 5]]
    assert not torch.equal(known[:, 1:], base.encode(pixels))
