import pytest
from benefit_results import evaluation, scored_image
from report_contents import product
from rows import sample

from pipeline_tasks.report.failures import SHOWN, failures_section


def section(**images):
    return failures_section(product(evaluation=evaluation(images=images)))


def test_the_defects_found_least_and_the_normal_images_that_alarm_most_come_first():
    found = section(
        chosen=[
            scored_image("test/pit/000.png", 0.7),
            scored_image("test/good/001.png", None, "good", 0.1),
            scored_image("test/pit/002.png", 0.05),
            scored_image("test/good/003.png", None, "good", 0.9),
            scored_image("test/pit/004.png", None),
        ]
    )
    assert [failure.path for failure in found.missed] == ["test/pit/002.png", "test/pit/000.png"]
    assert [failure.path for failure in found.alarms] == ["test/good/003.png", "test/good/001.png"]
    assert found.missed[0].words == "pit: pixel AP 0.05, image score 0.50"
    assert found.alarms[0].words == "normal: image score 0.90"
    assert [len(failure.pictures) for failure in (*found.missed, *found.alarms)] == [2, 2, 1, 1]


def test_only_a_few_are_shown_and_only_these_are_loaded():
    asked = []

    def load(paths):
        asked.extend(paths)
        return [sample("pit", source_path=path) for path in reversed(list(paths))]

    images = [scored_image(f"test/pit/{i:03d}.png", i / 10) for i in range(SHOWN + 3)]
    found = failures_section(product(evaluation=evaluation(images={"chosen": images}), test=load))
    assert [failure.path for failure in found.missed] == asked == [f"test/pit/{i:03d}.png" for i in range(SHOWN)]


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        (["paste_50", "real_flip", "chosen"], "the chosen mixture"),
        (["paste_50", "real_flip"], "real images with flips"),
        (["paste_50"], "50% pasted, flips"),
    ],
)
def test_the_recommended_detector_is_shown(arms, words):
    assert section(**{arm: [scored_image("test/pit/000.png", 0.5)] for arm in arms}).arm == words


def test_without_scored_images_there_is_nothing_to_show():
    assert section() is None
    assert section(chosen=[]) is None
    assert failures_section(product(evaluation={})) is None
