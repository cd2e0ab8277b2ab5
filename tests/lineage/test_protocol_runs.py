import shutil

import pytest
from settings import settings
from side_project import make_side_project, ran

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.layouts.discovery import discover
from pipeline_tasks.lineage.protocol_runs import SideWorkspace, one_product
from pipeline_tasks.lineage.repro import StageCrashed
from pipeline_tasks.yaml_files import read_yaml

EVERYTHING = ["ingest@plate", "train@plate", "generate@plate-pit", "choose@plate", "evaluate@plate"]
TARGETS = ["evaluate@plate"]


@pytest.fixture
def control(tmp_path):
    return make_side_project(tmp_path / "the project")


@pytest.fixture
def catalog(product_folder):
    """Of two products; the first one is evaluated."""
    product_folder.good(2).defect("pit", 2)
    type(product_folder)(product_folder.root.parent / "raw" / "tile").good(2).defect("dent", 2)
    shutil.move(product_folder.root, product_folder.root.parent / "raw")
    return discover(product_folder.root.parent / "raw", shared=False)[0]


@pytest.fixture
def workspace(control, catalog):
    found = SideWorkspace(control.parent, control.parent / ".work" / "protocols" / "few shot" / "plate-1")
    found.prepare(one_product(catalog, "plate"))
    return found


def test_the_pipeline_runs_beside_the_repository_and_leaves_it_as_it_was(workspace, control):
    before = sorted(path.name for path in control.parent.iterdir())
    workspace.reproduce(settings(), TARGETS, timed=False)
    assert ran(control) == EVERYTHING
    assert sorted(path.name for path in control.parent.iterdir()) == before
    assert list(load_catalog(workspace.home / "catalog.yaml").products) == ["plate"], "and of one product alone"
    assert workspace.result("evaluate", "plate")["verdict"]["sentence"] == "evaluate@plate gains.".replace(
        "evaluate@", ""
    )
    assert workspace.base_images("plate") == 3 and workspace.pairs_made("plate") == {"pit": 4}


def test_nothing_is_run_twice_and_other_parameters_run_what_depends_on_them(workspace, control):
    workspace.reproduce(settings(), TARGETS, timed=False)
    workspace.prepare(load_catalog(workspace.home / "catalog.yaml"))
    ran(control)
    workspace.reproduce(settings(), TARGETS, timed=False)
    assert ran(control) == []
    workspace.reproduce(settings(masks={"interpolated_fraction": 0.0}), TARGETS, timed=False)
    assert ran(control) == ["generate@plate-pit", "evaluate@plate"], "the pairs are the same"
    workspace.reproduce(settings(), TARGETS, timed=False)
    assert ran(control) == [], "what was there before comes back from the cache"
    (control.parent / "pipeline_tasks" / "stage.py").open("a").write("# other code")
    workspace.reproduce(settings(), TARGETS, timed=False)
    assert ran(control) == EVERYTHING


def test_a_killed_run_goes_on_where_it_was(workspace, control):
    (control / "kill-generate@plate-pit").touch()
    with pytest.raises(StageCrashed, match="stage 'generate@plate-pit'"):
        workspace.reproduce(settings(), TARGETS, timed=False)
    assert ran(control) == EVERYTHING[:3]
    seconds = workspace.reproduce(settings(), TARGETS, timed=False)
    assert ran(control) == EVERYTHING[2:]
    assert seconds["train@plate"] > 0 and seconds["generate@plate-pit"] is None, "it is not known how long that took"


def test_where_time_is_measured_nothing_comes_from_the_runs_of_others(workspace, control):
    other = SideWorkspace(workspace.root, workspace.home.parent / "plate-2")
    other.prepare(load_catalog(workspace.home / "catalog.yaml"))
    workspace.reproduce(settings(), ["generate@plate-pit"], timed=False)
    assert ran(control) == EVERYTHING[:3]
    assert set(other.reproduce(settings(), ["generate@plate-pit"], timed=True)) == set(EVERYTHING[:3])
    assert ran(control) == EVERYTHING[:3]
    again = other.reproduce(settings(), ["generate@plate-pit"], timed=True)
    assert set(again) == set(EVERYTHING[:3]) and all(again.values()), "measured once is measured"
    assert ran(control) == []


def test_paths_that_are_relative_to_the_repository_lead_there(workspace, control, monkeypatch):
    monkeypatch.setattr(SideWorkspace, "_run", lambda *_: None)
    (control.parent / "models" / "base").mkdir(parents=True)
    backend = {"pretrained": "models/base", "revision": "main"}
    workspace.reproduce(settings(backend=backend, prompts={"clip": "openai/clip"}), ["ingest@plate"], timed=False)
    values = read_yaml(workspace.home / "params.yaml", "")
    assert values["backend"]["pretrained"] == str(control.parent / "models" / "base")
    assert values["prompts"]["clip"] == "openai/clip", "an id of the hub stays one"


def test_outputs_of_a_defect_that_is_gone_go_too(workspace, control, product_folder):
    folder = product_folder.root.parent / "raw"
    type(product_folder)(folder / "plate").defect("dent", 2)
    workspace.prepare(one_product(discover(folder, shared=False)[0], "plate"))
    workspace.reproduce(settings(), [*TARGETS, "generate@plate-dent"], timed=False)
    assert set(workspace.pairs_made("plate")) == {"pit", "dent"}
    shutil.rmtree(folder / "plate" / "test" / "dent")
    workspace.prepare(one_product(discover(folder, shared=False)[0], "plate"))
    workspace.reproduce(settings(), ["generate@plate-pit"], timed=False)
    assert set(workspace.pairs_made("plate")) == {"pit"}


def test_a_folder_that_is_no_dvc_repository_is_named(tmp_path, catalog):
    with pytest.raises(ConfigError, match=r"no DVC repository; run defectline in the folder that holds dvc\.yaml"):
        SideWorkspace(tmp_path, tmp_path / "side").prepare(catalog)
