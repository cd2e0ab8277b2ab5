from dataclasses import replace

import pytest

from pipeline_tasks.errors import LeakageError
from pipeline_tasks.quality.leakage import HeldOut
from pipeline_tasks.schema import Pair, Sample

SAMPLE = Sample("plate", "pit", "base", "test/pit/000.png", "a" * 64, 9, 8, 8, 1, 1 / 64, None, b"", b"")
TEST = replace(SAMPLE, split="test", source_path="test/pit/020.png", sha256="b" * 64)
PAIR = Pair(
    pair_id="plate/pit/000003",
    pair_index=3,
    product="plate",
    defect="pit",
    seed=1,
    backend="paste",
    backend_digest="c" * 64,
    prompt="pit plate",
    normal_path="train/good/000.png",
    normal_sha256="d" * 64,
    normal_derived=False,
    mask_kind="transformed",
    parent_a=SAMPLE.source_path,
    parent_b=SAMPLE.source_path,
    alpha=0.0,
    warp=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    width=8,
    height=8,
    mask_area_px=1,
    mask_area_fraction=1 / 64,
    change_inside=9.0,
    change_outside_max=0,
    image_sha256="e" * 64,
    image=b"",
    mask=b"",
)
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


def test_a_pair_on_the_content_of_a_test_sample_is_refused():
    with pytest.raises(LeakageError, match="pair plate/pit/000003 holds the same image"):
        HELD_OUT.refuse_pair(replace(PAIR, normal_sha256=TEST.sha256))
