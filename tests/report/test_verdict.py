from dataclasses import replace

import pytest
from benefit_results import choice, chosen, evaluation
from report_contents import CHAMPION, product

from pipeline_tasks.report.verdict import verdict_section

CHALLENGER = replace(CHAMPION, standing="challenger", reason="Not in every repeat.", champion="2")


def verdict(standings=(), **results):
    return verdict_section(product(**results), standings)


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (CHAMPION, "is the one to train with."),
        (CHALLENGER, "is kept beside; version 2 stays the champion."),
        (replace(CHALLENGER, champion=None), "is kept beside; no version is champion yet."),
    ],
)
def test_the_standing_is_told_with_the_reason_and_the_champion(standing, words):
    found = verdict([replace(CHAMPION, product="tile"), standing])
    assert (found.standing, found.reason) == (standing.standing, standing.reason)
    assert found.version == f"Version 3 of defectline-plate-dataset {words}"


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
    assert verdict(choice=choice(base={"good": 40})).caution == ""


def test_nothing_known_leaves_nothing_said():
    found = verdict(choice={}, evaluation={})
    assert (found.recommendations, found.lift, found.without_lift, found.test, found.caution) == ([], None, "", "", "")


def test_the_verdict_of_the_test_split_is_passed_on():
    found = verdict(evaluation=evaluation(verdict={"outcome": "worse", "sentence": "It hurts."}))
    assert (found.outcome, found.test) == ("worse", "It hurts.")
