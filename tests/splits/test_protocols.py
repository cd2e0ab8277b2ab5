import pytest
from settings import settings

from pipeline_tasks.splits.protocols import PROTOCOLS, Scheme

NAMES = [f"test/pit/{number:03d}.png" for number in range(21)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("few-shot-10", {1: 1, 2: 1, 3: 1, 6: 2, 21: 7, 29: 9, 45: 10, 200: 10}),
        ("deepcrack-localization", {21: 7, 6: 2, 300: 30}),
        ("mvtec-localization", {8: 2, 30: 10, 1: 1, 300: 30}),
        ("mvtec-classification", {8: 2, 30: 10, 300: 30}),
        ("gdxray-localization", {15: 5, 4: 4, 300: 5}),
        ("half-split", {10: 5, 11: 5, 1: 1, 300: 30}),
        ("three-shot", {10: 3, 2: 2, 300: 3}),
    ],
)
def test_the_base_has_the_size_that_the_paper_gives_it(name, expected):
    assert {samples: PROTOCOLS[name].base_count(samples) for samples in expected} == expected


def test_a_protocol_by_name_takes_the_lowest():
    assert Scheme("deepcrack-localization").base_of("pit", 21, NAMES[::-1]) == NAMES[:7]


def test_a_drawn_protocol_takes_others_in_each_draw_and_the_same_ones_again():
    draws = [Scheme("mvtec-classification", draw).base_of("pit", 21, NAMES) for draw in (0, 1, 2, 1)]
    assert draws[1] == draws[3]
    assert len({tuple(sorted(draw)) for draw in draws}) == 3
    assert all(len(draw) == 7 for draw in draws)


def test_one_sample_more_changes_no_other_ones_place_in_a_draw():
    scheme = Scheme("half-split", 4)
    before, after = scheme.base_of("pit", 20, NAMES[:20]), scheme.base_of("pit", 20, NAMES)
    assert [path for path in after if path != NAMES[20]] == before[: len(after) - (NAMES[20] in after)]


def test_every_scheme_can_be_read_from_its_text():
    for name, protocol in PROTOCOLS.items():
        scheme = Scheme(name, 2 if protocol.at_random else 0)
        assert Scheme.read(str(scheme)) == scheme


@pytest.mark.parametrize("text", ["", "few-shot", "few-shot-10 draw 1", "half-split", "half-split draw x"])
def test_any_other_text_is_no_scheme(text):
    with pytest.raises(ValueError, match="is no protocol"):
        Scheme.read(text)


def test_the_draw_counts_only_where_there_is_one():
    assert Scheme.of(settings(ingest={"protocol": "few-shot-10", "draw": 2}).ingest) == Scheme("few-shot-10", 0)
    assert Scheme.of(settings(ingest={"protocol": "three-shot", "draw": 2}).ingest) == Scheme("three-shot", 2)
