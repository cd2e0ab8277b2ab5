import pytest

from pipeline_tasks.quality.verdict import judge, not_applicable


@pytest.mark.parametrize(
    ("real", "synthetic", "outcome"),
    [
        ([0.50, 0.52, 0.54], [0.60, 0.63, 0.65], "better"),
        ([0.60, 0.63, 0.65], [0.50, 0.52, 0.54], "worse"),
        ([0.50, 0.50, 0.50], [0.51, 0.70, 0.52], "undecided"),  # every seed, but within the spread
        ([0.50, 0.50, 0.50, 0.50], [0.70, 0.70, 0.70, 0.49], "undecided"),  # beyond the spread, but not every seed
        ([0.50, 0.50], [0.50, 0.50], "undecided"),
        ([0.50], [0.90], "undecided"),
    ],
)
def test_only_a_difference_in_every_seed_and_beyond_their_spread_decides(real, synthetic, outcome):
    assert judge("inpainting", real, synthetic)["outcome"] == outcome


def test_seeds_are_compared_in_pairs():
    """The arms overlap, but each seed gains the same."""
    assert judge("paste", [0.1, 0.5, 0.9], [0.2, 0.6, 0.99])["outcome"] == "better"


def test_the_sentence_holds_the_figures():
    assert judge("inpainting", [0.5, 0.6], [0.4, 0.45])["sentence"] == (
        "Pairs by inpainting hurt: pixel AP 0.425 against 0.550 with real data alone, "
        "difference -0.125 (± 0.035 over 2 seeds)."
    )
    assert "one seed, spread unknown" in judge("paste", [0.5], [0.6])["sentence"]


def test_where_nothing_can_be_compared_the_reason_is_given():
    assert not_applicable("there is no test image") == {
        "outcome": "not_applicable",
        "sentence": "No comparison: there is no test image.",
    }
