from dataclasses import replace

import pytest
from rows import pair, sample

from pipeline_tasks.errors import LeakageError
from pipeline_tasks.quality.leakage import HeldOut, hold_out

SAMPLE = sample(source_path="test/pit/000.png")
TEST = sample(split="test", number=20)
PAIR = pair(index=3, parent_a=SAMPLE.source_path, parent_b=SAMPLE.source_path)
HELD_OUT = HeldOut.of([TEST])


def test_base_samples_and_their_pairs_pass():
    HELD_OUT.refuse_sample(SAMPLE)
    HELD_OUT.refuse_pair(PAIR)


@pytest.mark.parametrize("column", ["source_path", "derived_from"])
def test_a_base_sample_that_is_or_comes_from_a_test_sample_is_refused(column):
    with pytest.raises(LeakageError, match=r"comes from 'test/pit/020\.png', which is in the test split"):
        HELD_OUT.refuse_sample(replace(SAMPLE, **{column: TEST.source_path}))


def test_a_base_sample_with_the_content_of_a_test_sample_is_refused():
    with pytest.raises(LeakageError, match=r"base sample 'test/pit/000\.png' holds the same image"):
        HELD_OUT.refuse_sample(replace(SAMPLE, sha256=TEST.sha256))


@pytest.mark.parametrize("column", ["normal_path", "parent_a", "parent_b"])
def test_a_pair_made_from_a_test_sample_is_refused(column):
    with pytest.raises(LeakageError, match=r"pair plate/pit/000003 comes from 'test/pit/020\.png'"):
        HELD_OUT.refuse_pair(replace(PAIR, **{column: TEST.source_path}))


def test_parents_on_another_product_are_no_samples_of_this_one():
    elsewhere = replace(PAIR, source="tile", parent_a=TEST.source_path, parent_b=TEST.source_path)
    HELD_OUT.refuse_pair(elsewhere)
    with pytest.raises(LeakageError):
        HELD_OUT.refuse_pair(replace(elsewhere, normal_path=TEST.source_path))


def test_a_pair_that_was_generated_whole_comes_from_no_sample():
    HELD_OUT.refuse_pair(replace(PAIR, normal_path=None, parent_a=None, parent_b=None))


def test_a_pair_on_the_content_of_a_test_sample_is_refused():
    with pytest.raises(LeakageError, match="pair plate/pit/000003 holds the same image"):
        HELD_OUT.refuse_pair(replace(PAIR, normal_sha256=TEST.sha256))


def test_samples_of_their_splits_are_told_apart():
    assert hold_out([SAMPLE], [TEST], "validate") == HELD_OUT


@pytest.mark.parametrize(
    ("base", "test", "complaint"),
    [
        (TEST, TEST, r"validate: 'plate/test/pit/020\.png' is a test sample"),
        (SAMPLE, SAMPLE, r"validate: 'plate/test/pit/000\.png' is a base sample"),
        (SAMPLE, replace(TEST, derived_from="test/pit/000.png"), r"'plate/test/pit/020\.png' is made from"),
        (replace(SAMPLE, sha256=TEST.sha256), TEST, r"base sample 'test/pit/000\.png' holds the same image"),
        (replace(SAMPLE, derived_from=TEST.source_path), TEST, r"comes from 'test/pit/020\.png'"),
    ],
)
def test_a_sample_on_the_wrong_side_is_refused_by_name(base, test, complaint):
    with pytest.raises(LeakageError, match=complaint):
        hold_out([base], [test], "validate")
