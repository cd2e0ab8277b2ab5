from dataclasses import replace

import pytest
from rows import sample

from pipeline_tasks.errors import LeakageError
from pipeline_tasks.splits.guard import of_base, of_test

BASE, TEST = sample(), sample(split="test", number=20)


def test_samples_of_their_split_pass_one_by_one():
    assert list(of_base([BASE], "train")) == [BASE]
    assert list(of_test([TEST], "evaluate")) == [TEST]
    assert next(of_base(iter([BASE, TEST]), "train")) is BASE


def test_a_test_sample_stops_a_step_that_learns_by_name():
    with pytest.raises(LeakageError, match=r"train: 'plate/test/pit/020\.png' is a test sample, and only base"):
        list(of_base([BASE, TEST], "train"))


def test_a_base_sample_stops_a_step_that_measures_by_name():
    with pytest.raises(LeakageError, match=r"evaluate: 'plate/base/pit/000\.png' is a base sample, and only test"):
        list(of_test([TEST, BASE], "evaluate"))


def test_nothing_derived_is_measured_on():
    made = replace(TEST, derived_from="test/pit/003.png")
    with pytest.raises(LeakageError, match=r"is made from 'test/pit/003\.png', and nothing made is measured on"):
        list(of_test([made], "evaluate"))
    assert list(of_base([replace(BASE, derived_from="base/pit/003.png")], "train"))
