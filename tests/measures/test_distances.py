import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from pipeline_tasks.measures.distances import (
    KID_SUBSET,
    UnmeasurableError,
    fid,
    inception_score,
    intra_cluster_distance,
    kid,
    mean_distance,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def draw(count, width=6, seed=0, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, 1, (count, width))).float()


def unbiased_mmd(one, other):
    """Equation 4 of Binkowski et al. 2018 with their kernel, loop by loop."""
    one, other = one.double().numpy(), other.double().numpy()

    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    def within(rows):
        pairs = [kernel(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]
        return sum(pairs) / len(pairs)

    return within(one) + within(other) - 2 * np.mean([kernel(a, b) for a in one for b in other])


def test_kid_is_the_unbiased_mmd_of_all_views_where_the_kinds_are_equally_many():
    one, other = draw(12), draw(12, seed=1, shift=0.5)
    assert kid(one, other, 0) == pytest.approx(1000 * unbiased_mmd(one, other), rel=1e-9)


def test_kid_of_unequal_kinds_is_the_mean_over_draws():
    """Unbiased: close to the value of all views, and nearer the more draws there are."""
    one, other = draw(60), draw(9, seed=1, shift=1.0)
    everything = 1000 * unbiased_mmd(one, other)
    found = [kid(one, other, seed) for seed in range(8)]
    assert len(set(found)) == 8
    assert np.mean(found) == pytest.approx(everything, rel=0.05)


def test_kid_is_about_zero_and_of_either_sign_for_one_distribution():
    found = np.array([kid(draw(20, seed=2 * seed), draw(20, seed=2 * seed + 1), 0) for seed in range(40)])
    assert abs(found.mean()) < 3 * found.std() / 40**0.5
    assert (found < 0).any()
    assert kid(draw(20), draw(20, seed=1, shift=1.0), 0) > found.max()


def test_kid_draws_from_its_seed_alone():
    many, few = draw(KID_SUBSET + 30), draw(KID_SUBSET + 10, seed=1)
    state = torch.random.get_rng_state()
    first = kid(many, few, 3)
    assert (torch.random.get_rng_state() == state).all()
    torch.rand(5)
    assert kid(many, few, 3) == first
    assert kid(many, few, 4) != first


@pytest.mark.parametrize("made, known", [(1, 5), (5, 1), (0, 0)])
def test_kid_needs_two_of_either_kind(made, known):
    with pytest.raises(UnmeasurableError, match=f"there are {made} generated, {known} real"):
        kid(draw(made), draw(known), 0)


def test_fid_is_the_formula():
    one, other = draw(80), draw(50, seed=1, shift=0.7) * torch.linspace(0.5, 2, 6)
    first, second = one.double().numpy(), other.double().numpy()
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    apart = ((first.mean(0) - second.mean(0)) ** 2).sum()
    expected = apart + np.trace(sum(covariances) - 2 * sqrtm(covariances[0] @ covariances[1]).real)
    assert fid(one, other) == pytest.approx(expected, rel=1e-6)


def test_fid_of_a_set_with_itself_is_zero():
    assert fid(draw(50), draw(50)) == pytest.approx(0, abs=1e-6)


def test_fid_of_shifted_views_is_the_squared_shift():
    shift = torch.tensor([1.0, -2, 0, 0.5, 0, 3])
    assert fid(draw(50) + shift, draw(50)) == pytest.approx(float(shift.square().sum()), rel=1e-5)


@pytest.mark.parametrize("made, known", [(6, 50), (50, 6), (0, 50)])
def test_fid_needs_more_views_than_features(made, known):
    with pytest.raises(UnmeasurableError, match="more views"):
        fid(draw(made), draw(known))
    assert fid(draw(7), draw(7, seed=1)) > 0


def test_is_counts_the_classes_that_are_sharp_and_alike_in_number():
    sharp = 800 * torch.eye(4).repeat(5, 1)
    assert inception_score(sharp, 20, 0) == pytest.approx(4, rel=1e-6)
    assert inception_score(sharp[:1].repeat(20, 1), 20, 0) == pytest.approx(1, rel=1e-6)
    assert inception_score(torch.zeros(20, 4), 20, 0) == pytest.approx(1, rel=1e-6)


def test_is_is_the_formula():
    logits = draw(60, width=5)
    odds = np.exp(logits.double().numpy())
    shares = odds / odds.sum(1, keepdims=True)
    expected = np.exp((shares * np.log(shares / shares.mean(0))).sum(1).mean())
    assert inception_score(logits, 60, 0) == pytest.approx(expected, rel=1e-6)


def test_is_of_many_views_is_the_mean_over_parts_drawn_by_the_seed():
    logits = draw(200, width=5)
    assert inception_score(logits, 200, 1) == inception_score(logits, 200, 1) != inception_score(logits, 200, 2)


@pytest.mark.parametrize("logits, count, told", [(None, 9, "no classes"), (draw(9, width=1), 9, "no classes")])
def test_is_needs_classes(logits, count, told):
    with pytest.raises(UnmeasurableError, match=told):
        inception_score(logits, count, 0)
    with pytest.raises(UnmeasurableError, match="there are 1"):
        inception_score(draw(1), 1, 0)


def test_the_mean_distance_is_that_of_all_pairs():
    views = draw(7)
    pairs = [float((one - other).square().sum()) for at, one in enumerate(views) for other in views[:at]]
    assert mean_distance(views, 7) == pytest.approx(np.mean(pairs), rel=1e-5)
    with pytest.raises(UnmeasurableError, match="no layers"):
        mean_distance(None, 7)
    with pytest.raises(UnmeasurableError, match="2 generated"):
        mean_distance(views[:1], 1)


def test_the_distance_within_clusters_is_over_pairs_then_over_clusters():
    known = torch.tensor([[0.0, 0], [10, 0], [0, 10], [50, 50]])
    made = torch.tensor([[0.0, 0], [1, 0], [10, 0], [10, 2], [12, 0], [0, 11]])
    assert intra_cluster_distance(made, known) == pytest.approx((1 + (4 + 4 + 8) / 3) / 2)


def test_the_distance_within_clusters_of_copies_is_zero():
    known = draw(4, width=300)
    assert intra_cluster_distance(known.repeat(5, 1), known) == pytest.approx(0, abs=1e-6)
    assert mean_distance(known.repeat(5, 1), 20) > 100


def test_clusters_of_one_have_no_distance():
    with pytest.raises(UnmeasurableError, match="no two generated"):
        intra_cluster_distance(draw(4), draw(4))
    with pytest.raises(UnmeasurableError, match="layers"):
        intra_cluster_distance(None, draw(4))
