import json

import pytest
from kept_versions import git
from released_records import made, make_release_repository, product, release, row
from rows import digest

from pipeline_tasks.audit.sample_use import DataSet, Learned
from pipeline_tasks.audit.trace import NO_RECORD, trace
from pipeline_tasks.audit.trace_text import lines
from pipeline_tasks.audit.traced_models import TracedModel, TracedModels
from pipeline_tasks.lineage.objects import stored_objects

PIT, SHOT, RENAMED = "test/pit/000.png", "test/pit/001.png", "test/pit/900.png"
NORMAL, DENT = "train/good/000.png", "test/dent/000.png"
TESTED, ONCE = "test/pit/005.png", "test/pit/006.png"
"""The second is in the first release alone."""
COUNTERPART = f"{DENT}#defect_free"
BYTES = b"the file of the pit"


def plate(pit, *extra):
    group = min(pit, SHOT)
    samples = [
        row(pit, sha256=digest(BYTES.decode()), group=group),
        row(SHOT, group=group),
        row("test/stain/000.png"),
        row(NORMAL),
        row(TESTED, "test"),
        *extra,
    ]
    defects = {
        "pit": made("plate", {pit: 3, SHOT: 2}, {NORMAL: 5}),
        "stain": made("plate", {"test/stain/000.png": 5}, {NORMAL: 5}),
    }
    return product(samples, defects)


def record(pit, digest_of_shared, *extra):
    """Return a lineage.json; `extra` samples are of the plate."""
    bolt = [row(DENT), row(COUNTERPART, sha256=digest("derived"), defect="good", derived_from=DENT)]
    products = {
        "plate": plate(pit, *extra),
        "tile": product([row("train/good/tile.png")], {"pit": made("plate", {pit: 4}, {"train/good/tile.png": 4}, 4)}),
        "bolt": product(bolt, {"dent": made("bolt", {DENT: 2}, {COUNTERPART: 2}, 2)}, "bolt"),
    }
    generators = {
        "shared": {"digest": digest_of_shared, "pretrained": "e" * 32, "products": ["plate", "tile"]},
        "bolt": {"digest": "b" * 32, "pretrained": "e" * 32, "products": ["bolt"]},
    }
    return {"products": products, "generators": generators}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Releases 1 and 2, in which the pit has two names; the lineage.json of 3 is lost; 4 was made without one."""
    root = make_release_repository(tmp_path_factory.mktemp("released") / "repository")
    found = [release(root, record(PIT, "a" * 32, row(ONCE, "test")), {"run": {"cmd": "1"}})]
    found.append(release(root, record(RENAMED, "c" * 32), {"run": {"cmd": "2"}}))
    found.append(release(root, record(PIT, "a" * 32), {"run": {"cmd": "3"}}))
    lost = root / ".dvc/cache/files/md5" / found[-1].record[:2] / found[-1].record[2:]
    lost.unlink()
    git(root, "rm", "--quiet", "lineage.json.dvc")
    git(root, "commit", "--quiet", "--message", "none")
    git(root, "tag", "dataset-4")
    return root, found


@pytest.fixture
def repository(template, monkeypatch):
    root, _ = template
    monkeypatch.chdir(root)
    return root


def traced(root, asked, models=TracedModels()):  # noqa: B008 - frozen
    with stored_objects(root, cache=True) as objects:
        return trace(root, objects, asked, models)


def uses(found, number=1):
    return next(release.uses for release in found.releases if release.number == number)


def data_sets(use):
    return {(d.product, d.defect): (d.parents, d.normals, d.generator) for d in use.data_sets}


def names_of_the_pit(folder):
    (folder / "anything.png").write_bytes(BYTES)
    sha256 = digest(BYTES.decode())
    return [PIT, f"plate/{PIT}", RENAMED, sha256, sha256[:8], sha256[:20].upper(), str(folder / "anything.png")]


def test_a_sample_is_found_by_path_digest_and_file_under_every_name_that_it_has_had(repository, tmp_path):
    for asked in names_of_the_pit(tmp_path):
        found = traced(repository, asked)
        sha256 = digest(BYTES.decode())
        assert [(s.product, s.source_path, s.sha256) for s in found.samples] == [
            ("plate", PIT, sha256),
            ("plate", RENAMED, sha256),
        ], asked
        assert [use.source_path for number in (1, 2) for use in uses(found, number)] == [PIT, RENAMED]
    assert [sample.shots for sample in found.samples] == [(SHOT,), (SHOT,)]


@pytest.mark.parametrize(
    "asked", ["test/pit/007.png", "tile/test/pit/000.png", "pit", "0" * 64, digest(NORMAL)[:7], "x" * 300]
)
def test_what_no_readable_release_holds_is_not_found_and_the_unread_ones_are_named(repository, asked):
    found = traced(repository, asked)
    assert found.samples == [] and not any(release.uses for release in found.releases)
    told = lines(found)
    assert told[0] == f"no published version that could be looked at holds a sample '{asked}'"
    assert [line.split(":")[1] for line in told[1:]] == [" dataset-3", " dataset-4"]


def test_a_base_sample_is_in_every_data_set_that_pairs_or_a_generator_make_of_it(repository, template):
    (use,) = uses(traced(repository, PIT))
    assert use.roles == ("base",)
    assert data_sets(use) == {
        ("plate", "pit"): (3, 0, True),
        ("plate", "stain"): (0, 0, True),
        ("tile", "pit"): (4, 0, True),
    }
    assert use.generators == (Learned("shared", "a" * 32),)
    assert uses(traced(repository, PIT), 2)[0].generators == (Learned("shared", "c" * 32),)
    first, _, _ = template[1]
    found = traced(repository, PIT).releases[0]
    assert (found.number, found.tag, found.version, found.revision) == (1, "dataset-1", first.version, first.revision)


def test_a_normal_image_hosts_pairs(repository):
    (use,) = uses(traced(repository, NORMAL))
    assert use.roles == ("base", "normal")
    assert data_sets(use)["plate", "pit"] == data_sets(use)["plate", "stain"] == (0, 5, True)
    assert data_sets(use)["tile", "pit"] == (0, 0, True)


@pytest.mark.parametrize("asked", [DENT, COUNTERPART, digest("derived"), f"bolt/{COUNTERPART}"])
def test_a_counterpart_stands_for_its_sample_and_hosts_pairs_in_its_place(repository, asked):
    found = traced(repository, asked)
    assert [(s.source_path, s.counterparts) for s in found.samples] == [(DENT, (COUNTERPART,))]
    (use,) = uses(found)
    assert (use.source_path, use.roles) == (DENT, ("base", "counterpart source"))
    assert use.data_sets == (DataSet("bolt", "dent", 2, 2, True),)


def test_of_a_test_sample_nothing_is_made(repository):
    found = traced(repository, TESTED)
    (use,) = uses(found)
    assert (use.roles, use.data_sets, use.generators) == (("test",), (), ())
    assert "    nothing is made or learned of it: it is only measured on" in lines(found)


def test_releases_that_cannot_be_read_are_named_with_the_reason(repository):
    found = traced(repository, PIT)
    assert [release.number for release in found.releases] == [1, 2]
    lost, none = found.unchecked
    assert lost.what == "dataset-3" and "no object" in lost.why
    assert (none.what, none.why) == ("dataset-4", NO_RECORD)


def model(kind="dataset", item="plate", number="1", version="", **values):
    return TracedModel(f"defectline-{item}-{kind}", number, kind, item, version, **{"digest": "", **values})


@pytest.fixture
def models(template):
    """A model each of what depends on the pit, on the test sample, on nothing, and on what is not known."""
    first, second, lost = (found.version for found in template[1])
    trained = [{"source_path": PIT, "sha256": digest(BYTES.decode())}]
    others = [{"source_path": NORMAL, "sha256": digest(NORMAL)}]
    return TracedModels(
        [
            model(version=first, aliases=("champion",)),
            model(number="2", version=lost),
            model(item="bolt", version=first),
            model("generator", "shared", version=second, digest="a" * 32),
            model("generator", "bolt", version=first, digest="b" * 32),
            model("generator", "old", digest="0" * 32),
            model("detector", number="1", version=first, samples=trained),
            model("detector", number="2", samples=trained),
            model("detector", number="3", samples=others),
            model("detector", number="4", version=second, samples=None),
            model("detector", number="5", version=lost, samples=others),
            model("detector", number="6"),
        ]
    )


def test_registered_models_are_told_by_version_digest_and_what_they_were_trained_on(repository, models, template):
    found = traced(repository, PIT, models)
    first, second, lost = (release.version for release in template[1])
    pairs = {v: f"it could draw on the pairs of version {v}: parent of 3 of its pairs" for v in (first, second)}
    assert [(m.model.removeprefix("defectline-"), m.number, m.how) for m in found.models] == [
        ("plate-dataset", "1", "parent of 3 of its pairs"),
        ("shared-generator", "1", "it learned from it"),
        ("plate-detector", "1", f"it was trained on it; {pairs[first]}"),
        ("plate-detector", "2", "it was trained on it"),
        ("plate-detector", "4", pairs[second]),
    ]
    assert [left.what for left in found.unchecked] == [
        "dataset-3",
        "dataset-4",
        "defectline-plate-dataset version 2",
        "defectline-old-generator version 1",
        "defectline-plate-detector version 5",
        "defectline-plate-detector version 6",
    ]
    assert found.unchecked[2].why == f"its data set, version {lost}, is no release that could be checked"
    assert "defectline-plate-dataset version 1 (champion): parent of 3 of its pairs" in lines(found)


def test_of_a_test_sample_only_the_measurement_is_told(repository, models):
    found = traced(repository, TESTED, models)
    assert [(m.model, m.number, m.how) for m in found.models] == [
        ("defectline-plate-dataset", "1", "it was measured on it")
    ]


def test_a_sample_that_only_a_detector_knows_is_found_there(repository):
    only = [{"source_path": "test/pit/077.png", "sha256": digest("unpublished")}]
    found = traced(repository, "plate/test/pit/077.png", TracedModels([model("detector", samples=only)]))
    assert [m.how for m in found.models] == ["it was trained on it"]
    assert "defectline-plate-detector version 1: it was trained on it" in lines(found)


def test_an_mlflow_out_of_reach_is_named(repository):
    found = traced(repository, PIT, TracedModels(unreachable="MLflow at http://x: down"))
    assert lines(found)[-1] == "unchecked: registered models: MLflow at http://x: down"


def test_everything_is_json_and_told_in_lines(repository, models):
    found = traced(repository, PIT, models)
    assert json.loads(json.dumps(found.to_json()))["releases"][0]["uses"][0]["data_sets"][0] == {
        "product": "plate",
        "defect": "pit",
        "parents": 3,
        "normals": 0,
        "generator": True,
    }
    told = lines(found)
    assert f"plate/{PIT}  SHA-256 {digest(BYTES.decode())}" in told
    assert f"  plate/{PIT} (pit): base" in told
    assert "    pairs of plate/pit: parent of 3, made by a generator that learned from it" in told
    assert f"    generator shared learned from it ({'a' * 32})" in told
    assert not any(line.startswith("not in") for line in told)
    assert "not in dataset-2" in lines(traced(repository, ONCE))
