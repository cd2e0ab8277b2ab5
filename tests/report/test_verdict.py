from dataclasses import replace

import pytest
from benefit_results import choice, chosen, evaluation
from report_contents import CHAMPION, product

from pipeline_tasks.report.contents import Promotion
from pipeline_tasks.report.verdict import verdict_section

CHALLENGER = replace(CHAMPION, standing="challenger", reason="Not in every repeat.", champion="2")


def verdict(standings=(), **results):
    return verdict_section(product(**results), standings)


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (CHAMPION, "is the one to train with."),
        (CHALLENGER, "is kept beside; version 2 is the champion."),
        (replace(CHALLENGER, champion=None), "is kept beside; no version is champion yet."),
    ],
)
def test_the_standing_is_told_with_the_reason_and_the_champion(standing, words):
    found = verdict([replace(CHAMPION, product="tile"), standing])
    assert (found.standing, found.reason) == (standing.standing, standing.reason)
    assert found.version == f"Version 3 of defectline-plate-dataset {words}"


OVERTAKEN = replace(CHAMPION, champion="4")
BY_HAND = Promotion("Ann <ann@example.org>", "2026-05-01T08:00:00+00:00", "the customer asked for it")


def test_a_champion_that_another_one_has_followed_is_told_as_such_with_the_ruling():
    found = verdict([OVERTAKEN])
    assert found.standing == "superseded"
    assert found.version == "Version 3 of defectline-plate-dataset is kept beside; version 4 is the champion."
    assert found.reason == "When it was registered, the gate made it a champion: Positive in every repeat."
    assert found.promotion == ""


@pytest.mark.parametrize(
    ("standing", "present", "made"),
    [(OVERTAKEN, "superseded", "champion"), (replace(CHALLENGER, champion="3"), "champion", "challenger")],
)
def test_who_was_made_the_champion_by_hand_is_told_with_by_whom_when_and_why(standing, present, made):
    found = verdict([replace(standing, promotion=BY_HAND)])
    assert found.standing == present
    assert found.promotion == (
        f"Version {standing.champion} was made the champion by hand, by Ann <ann@example.org> on 01 May 2026, 08:00 "
        "UTC: the customer asked for it"
    )
    assert found.reason.startswith(f"When it was registered, the gate made it a {made}: ")


def test_without_a_ruling_there_is_no_standing():
    found = verdict([replace(CHAMPION, product="tile")])
    assert (found.standing, found.version, found.reason) == ("", "", "")


def test_the_gain_is_given_with_its_interval():
    lift = verdict().lift
    assert (lift.gain, lift.against, lift.probability) == ("+0.030", "real images with flips", "97%")
    assert lift.interval == "90% interval +0.020 to +0.040"
    assert lift.repeats == "+0.020, +0.040"


@pytest.mark.parametrize(
    ("outcomes", "reason", "words"),
    [
        (["no synthesis", "undecidable"], "", "This recommends real images alone, so no gain is claimed."),
        (["no synthesis", "synthesis"], "", "No gain could be measured out of fold."),
        (["undecidable"], "One part shows it.", ""),
        ([], "", ""),
    ],
)
def test_without_a_gain_the_reason_is_given_once(outcomes, reason, words):
    defects = {f"defect{i}": chosen(outcome) for i, outcome in enumerate(outcomes)}
    found = verdict(choice=choice(defects=defects, lift=None, reason=reason))
    assert (found.lift, found.without_lift, found.unchosen) == (None, words, reason)


def test_how_few_images_it_rests_on_is_said():
    caution = verdict(choice=choice(base={"good": 40, "pit": 7, "scratch": 5})).caution
    assert "(7 pit, 5 scratch and 40 normal), in 5 folds, repeated 2 times." in caution
    assert "(7 pit)" in verdict(choice=choice(base={"pit": 7})).caution
    assert "in 5 folds, once." in verdict(choice=choice(repeats=1)).caution
    assert verdict(choice=choice(base={"good": 40})).caution == ""
    assert verdict(choice=choice(arms={}, folds=0, repeats=0)).caution == "", "nothing was measured"


def test_what_flatters_the_gain_is_said():
    caution = verdict().caution
    assert "on the same left-out scores, which flatters the gain" in caution
    assert "two or three repeats understate" in caution


def test_nothing_known_leaves_nothing_said():
    found = verdict(choice={}, evaluation={})
    assert (found.recommendations, found.lift, found.without_lift, found.test, found.caution) == ([], None, "", "", "")


def test_the_verdict_of_the_test_split_is_passed_on():
    found = verdict(evaluation=evaluation(verdict={"outcome": "worse", "sentence": "It hurts."}))
    assert (found.outcome, found.test) == ("worse", "It hurts.")
