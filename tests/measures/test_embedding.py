import numpy as np
import pytest

from pipeline_tasks.measures.embedding import LEAST, embed

pytestmark = pytest.mark.usefixtures("one_thread")


def clusters(count, apart=20.0):
    rng = np.random.default_rng(0)
    rows = [rng.normal(kind * apart, 1, (count, 12)) for kind in range(2)]
    return np.concatenate(rows).astype(np.float32), ["normal"] * count + ["real"] * count


def test_two_kinds_apart_stay_apart():
    features, kinds = clusters(20)
    points = embed(features, kinds, ["pit"] * 40, seed=1)
    assert [(point["kind"], point["defect"]) for point in points] == [(kind, "pit") for kind in kinds]
    places = np.array([(point["x"], point["y"]) for point in points])
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(1)
    assert all(kinds[at] == kinds[other] for at, other in enumerate(nearest))
    within = max(np.ptp(places[:20], axis=0).max(), np.ptp(places[20:], axis=0).max())
    assert np.linalg.norm(places[:20].mean(0) - places[20:].mean(0)) > within


def test_points_are_the_seed_s():
    features, kinds = clusters(6)
    first, again = (embed(features, kinds, kinds, seed=2**62 + 5) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("count", [LEAST, 7])
def test_a_few_views_have_places_too(count):
    features = clusters(count)[0][:count]
    points = embed(features, ["real"] * count, ["pit"] * count, seed=0)
    assert len(points) == count
    assert len({(point["x"], point["y"]) for point in points}) == count


def test_too_few_views_have_no_arrangement():
    assert embed(clusters(2)[0], ["real"] * 4, ["pit"] * 4, seed=0) == []
