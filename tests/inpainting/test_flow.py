import torch

from pipeline_tasks.inpainting.flow import euler, hole_loss


def straight(pixels, noise):
    """The exact velocity field of one known pair of endpoints."""
    return lambda x, t: pixels - noise


def test_loss_is_zero_for_the_exact_velocity_and_counts_only_the_hole():
    generator = torch.Generator().manual_seed(1)
    pixels, noise = (torch.randn(2, 3, 8, 8, generator=generator) for _ in range(2))
    hole = torch.zeros(2, 1, 8, 8)
    hole[0, :, 2:4, 2:4] = 1
    hole[1, :, 1:7, 1:7] = 1
    time = torch.tensor([0.2, 0.9])
    assert hole_loss(straight(pixels, noise), pixels, hole, noise, time) == 0
    wrong_outside = lambda x, t: pixels - noise + (1 - hole) * 7  # noqa: E731
    assert hole_loss(wrong_outside, pixels, hole, noise, time) == 0
    wrong_inside = lambda x, t: pixels - noise + hole * 2  # noqa: E731
    torch.testing.assert_close(hole_loss(wrong_inside, pixels, hole, noise, time), torch.tensor(4.0))


def test_network_sees_the_interpolated_hole_and_the_clean_context():
    pixels, noise = torch.full((1, 3, 4, 4), 2.0), torch.full((1, 3, 4, 4), -1.0)
    hole = torch.zeros(1, 1, 4, 4)
    hole[..., 0, 0] = 1
    seen = []

    def spy(x, t):
        seen.append(x)
        return torch.zeros_like(x)

    hole_loss(spy, pixels, hole, noise, torch.tensor([0.25]))
    assert seen[0][0, 0, 0, 0] == 0.75 * -1 + 0.25 * 2
    assert (seen[0][..., 1:, :] == 2).all()


def test_euler_follows_a_straight_path_exactly_in_any_number_of_steps():
    noise, pixels = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 3.0]])
    for steps in (1, 6, 13):
        (end,) = euler(lambda states, t: [pixels - noise], [noise], steps)
        torch.testing.assert_close(end, pixels)


def test_euler_converges_to_the_solution_of_an_ode():
    def decay(states, t):
        return [-x for x in states]

    errors = [abs(euler(decay, [torch.tensor(1.0)], n)[0] - torch.exp(torch.tensor(-1.0))) for n in (10, 100)]
    assert errors[1] < errors[0] / 8  # first order: ten times the steps, a tenth of the error


def test_a_zero_velocity_leaves_the_state():
    state = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0))
    (end,) = euler(lambda states, t: [torch.zeros_like(state)], [state], 6)
    assert torch.equal(end, state)
