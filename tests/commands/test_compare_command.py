import json
import shutil

import pytest
from benefit_results import choice, evaluation
from released_records import made, make_release_repository, product, release, row

from pipeline_tasks.lineage.lock import md5_of

CATALOG = {
    "products": {"plate": {"path": "raw/plate", "layout": "mvtec"}},
    "generators": {"plate": {"base": "b", "prompts": "p"}},
    "defects": {
        "plate-pit": {"product": "plate", "source": "plate", "generator": "plate", "prompts": "p", "defect": "pit"}
    },
}


def record(*names):
    samples = [row(f"test/pit/{name}.png") for name in names]
    return {"products": {"plate": product(samples, {"pit": made("plate", {}, {}, 60)})}, "generators": {}}


def stages(root, seed):
    """Write the results of choose and evaluate, give them to DVC's cache, and return their entries."""
    results = {"choose": ("data/choice/plate.json", choice()), "evaluate": ("data/evaluation/plate.json", evaluation())}
    entries = {}
    for stage, (name, values) in results.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(values))
        md5 = md5_of(root / name)
        cached = root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_bytes((root / name).read_bytes())
        params = {"params.yaml": {"run": {"seed": seed}}}
        entries[f"{stage}@plate"] = {"cmd": stage, "outs": [{"path": name, "md5": md5}], "params": params}
    return entries


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A repository with two releases, whose scores are in DVC's cache."""
    root = make_release_repository(tmp_path_factory.mktemp("template") / "repository")
    release(root, record("000", "001"), stages(root, 0), CATALOG)
    release(root, record("000", "002"), stages(root, 1), CATALOG)
    return root


@pytest.fixture
def repository(template, defectline, tmp_path):
    """A throwaway copy of it, as the current directory."""
    return shutil.copytree(template, tmp_path, dirs_exist_ok=True)


def test_what_changed_is_told_with_the_causes_and_the_headline_scores(repository, defectline):
    ran = defectline("compare", "1", "latest")
    assert (ran.status, ran.err) == (0, "")
    told = ran.out.splitlines()
    assert told[0].startswith("dataset-1 (version ") and " -> dataset-2 (version " in told[0]
    assert {"  removed plate/test/pit/001.png: base, pit", "  added plate/test/pit/002.png: base, pit"} <= {*told}
    assert "  run.seed: 0 -> 1" in told
    assert "  choose@plate: made again, and the output is the same; because of parameters run.seed" in told
    assert "  plate/choice/lift_gain: 0.030 -> 0.030" in told
    assert "  plate/unet/chosen/pixel_ap_mean: 0.550 -> 0.550" in told
    assert "  plate/unet/real_flip/pixel_ap_mean: 0.500 -> 0.500" in told


def test_it_is_json_too_and_versions_are_named_as_everywhere(repository, defectline):
    values = json.loads(defectline("compare", "dataset-1", "HEAD", "--json").out)
    assert values["new"]["number"] == 2 and values["parameters"] == [{"name": "run.seed", "old": 0, "new": 1}]
    assert "version '9': there is none of this name in git" in defectline("compare", "1", "9").err


def test_what_is_lost_is_told_and_hides_nothing_else(repository, defectline):
    for lost in (".dvc/cache", "data"):
        shutil.rmtree(repository / lost)
    told = defectline("compare", "1", "2").out.splitlines()
    assert "  run.seed: 0 -> 1" in told
    where = told.index("cannot be told")
    assert [line.split(": ")[1] for line in told[where + 1 :]] == [
        "its lineage.json, so which raw samples it has and how many pairs",
        "the scores of plate",
    ] * 2
