import pytest

from pipeline_tasks.lineage.stopwatch import Stopwatch

BEGIN, END = "Running stage 'train@plate':\n", "Updating lock file 'dvc.lock'\n"


@pytest.fixture
def watch(tmp_path):
    """Makes the watch of a run; its clock goes on by a second with each look at it."""
    ticks = iter(range(1000))

    def make(key="abc"):
        found = Stopwatch.of(tmp_path / "seconds.json", key)
        found.clock = lambda: float(next(ticks))
        return found

    return make


def hear(watch, *lines):
    for line in lines:
        watch.hear(line)


def test_a_stage_takes_from_its_beginning_until_its_outputs_are_stored(watch):
    first = watch()
    hear(first, BEGIN, "> defectline train\n", "step 3\n", END, "\n", "Running stage 'generate@plate-pit':\n")
    assert first.seconds == {"train@plate": 1.0}
    hear(first, "Stage 'validate@plate' didn't change, skipping\n")
    assert first.seconds == {"train@plate": 1.0, "generate@plate-pit": 1.0}


def test_what_took_how_long_is_known_to_the_next_call_and_of_its_own_key_alone(watch):
    first = watch()
    hear(first, BEGIN, END)
    assert not first.complete
    first.done()
    assert watch().seconds == {"train@plate": 1.0} and watch().complete
    assert watch("other").seconds == {} and not watch("other").complete
    watch("other").done()
    assert watch().seconds == {"train@plate": 1.0}


def test_a_stage_that_was_killed_and_resumed_has_no_time(watch):
    hear(watch(), BEGIN)
    assert watch().seconds == {}, "it has not ended"
    hear(watch(), BEGIN, END)
    assert watch().seconds == {"train@plate": None}
    hear(watch(), BEGIN, END)
    assert watch().seconds == {"train@plate": 1.0}, "run again as a whole, it has one"
