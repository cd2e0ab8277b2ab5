from dataclasses import dataclass, field

import pytest
from interruptions import Memory
from rows import PROMPTS, sample

from pipeline_tasks.errors import DataError, LeakageError
from pipeline_tasks.schema import GOOD
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.stages import train


@dataclass
class Recorder:
    """A trainer that learns nothing and remembers what it was given."""

    given: list = field(default_factory=list)

    def train(self, samples, seed, checkpoints, progress):
        self.given.append((list(samples.defects), list(samples.normals), samples.prompts, seed, checkpoints, progress))
        return "the generator"


def run(defects, normals, trainer=None, seed=0, generator="plate"):
    return train.run(trainer or Recorder(), seed, generator, defects, normals, PROMPTS, Memory(), iter)


def test_the_trainer_gets_the_base_samples_of_every_product_and_a_seed_of_its_own():
    recorder, checkpoints = Recorder(), Memory()
    defects = [sample("scratch"), sample("pit"), sample("pit", product="tile")]
    normals = (sample(GOOD, number) for number in range(2))
    arguments = (recorder, 7, "shared", defects, normals, PROMPTS, checkpoints, iter)
    assert train.run(*arguments) == "the generator"
    seed = derive_seed(7, "shared")
    assert recorder.given == [(defects, [sample(GOOD, 0), sample(GOOD, 1)], PROMPTS, seed, checkpoints, iter)]


def test_generators_do_not_share_their_seeds():
    recorder = Recorder()
    for seed, generator in ((0, "plate"), (0, "tile"), (1, "plate")):
        run([sample()], [], recorder, seed, generator)
    assert len({given[3] for given in recorder.given}) == 3


def test_normal_images_are_read_one_at_a_time_and_only_as_far_as_they_are_wanted():
    class Frugal(Recorder):
        def train(self, samples, seed, checkpoints, progress):
            return next(iter(samples.normals))

    def normals():
        yield sample(GOOD)
        raise AssertionError("nobody asked for a second one")

    assert run([sample()], normals(), Frugal()) == sample(GOOD)


def test_a_test_sample_stops_training_by_name():
    with pytest.raises(LeakageError, match=r"train: 'plate/x\.png' is a test sample"):
        run([sample(), sample(source_path="x.png", split="test")], [])
    with pytest.raises(LeakageError, match=r"plate/n\.png"):
        run([sample()], [sample(GOOD, source_path="n.png", split="test")])


def test_no_defect_sample_is_an_error_that_says_where_to_look():
    with pytest.raises(DataError, match="generator 'plate': no base defect sample to train on; see the set-aside"):
        run([], [sample(GOOD)])
