"""What a withdrawal makes DVC run again."""

import hashlib

import pytest
from graph_project import call_here, make_graph_project, stages_run
from tiny_project import call, make_project

from pipeline_tasks.schema import Pair
from pipeline_tasks.splits.membership import read_members
from pipeline_tasks.storage import read_rows

OF_THE_BASE = {"prompts@plate", "pretrain@plate", "train@plate", "choose@plate"}
OF_PITS = {"masks@plate-pit", "generate@plate-pit"}
OF_THE_PRODUCT = {"ingest@plate", "validate@plate", "evaluate@plate"}


def digests(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_only_what_depends_on_a_withdrawn_sample_is_made_again_and_putting_it_back_makes_the_same(
    product_folder, tmp_path
):
    product_folder.good(2).good(1, "test").defect("pit", 6).defect("scratch", 6)
    root = make_graph_project(tmp_path / "project", product_folder.root)
    assert len(stages_run(call_here(root, "dvc", "repro"))) == 11
    before = digests(root / "data/base/plate"), digests(root / "data/test/plate")
    withdraw = ("defectline", "withdraw", "plate")

    call_here(root, *withdraw, "test/pit/004.png", "--reason", "blurred")
    assert stages_run(call_here(root, "dvc", "repro")) == OF_THE_PRODUCT
    assert digests(root / "data/base/plate") == before[0]
    assert stages_run(call_here(root, "dvc", "repro")) == set()
    assert "up to date" in call_here(root, "dvc", "status")

    call_here(root, *withdraw, "test/pit/001.png", "--reason", "not ours to use")
    assert stages_run(call_here(root, "dvc", "repro")) == OF_THE_PRODUCT | OF_THE_BASE | OF_PITS
    assert stages_run(call_here(root, "dvc", "repro")) == set()

    for name in ("004", "001"):
        call_here(root, *withdraw, f"test/pit/{name}.png", "--undo")
    call_here(root, "dvc", "repro")
    assert (digests(root / "data/base/plate"), digests(root / "data/test/plate")) == before
    assert not any(member.withdrawn for member in read_members(root / "splits/plate.csv"))
    assert "up to date" in call_here(root, "dvc", "status")


@pytest.mark.long
def test_the_same_of_the_real_stages_with_pasting(tmp_path):
    root = make_project(tmp_path / "project", backend={"name": "paste"}, ingest={"protocol": "half-split"})
    assert stages_run(call(root, "dvc", "repro")) >= OF_THE_PRODUCT | OF_THE_BASE
    members = read_members(root / "splits/plate.csv")
    test, base = (next(m for m in members if (m.defect, m.split) == ("pit", side)) for side in ("test", "base"))
    call(root, "defectline", "withdraw", "plate", test.source_path, "--reason", "blurred")
    assert stages_run(call(root, "dvc", "repro")) == OF_THE_PRODUCT
    assert "up to date" in call(root, "dvc", "status")
    call(root, "defectline", "withdraw", "plate", base.sha256[:12], "--reason", "not ours to use")
    assert stages_run(call(root, "dvc", "repro")) == OF_THE_PRODUCT | OF_THE_BASE | OF_PITS
    pairs = [pair for shard in (root / "data/pairs/plate/pit").glob("*.parquet") for pair in read_rows(shard, Pair)]
    assert pairs and base.source_path not in {path for pair in pairs for path in (pair.parent_a, pair.parent_b)}
    assert "up to date" in call(root, "dvc", "status")
