import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from choices import choice, lift
from mlflow import MlflowClient
from rows import noisy_sample, pair
from settings import SMALL_DETECTOR, write_settings

from pipeline_tasks.benefit.gate import Ruling
from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.commands.promote import promote
from pipeline_tasks.commands.retrain import retrain
from pipeline_tasks.errors import ConfigError, LeakageError, PublicationError
from pipeline_tasks.lineage.earlier_pairs import Made
from pipeline_tasks.lineage.lock import load_lock, md5_of
from pipeline_tasks.schema import IDENTITY, Pair, Sample
from pipeline_tasks.storage import content_digest, write_rows
from pipeline_tasks.tracking.artifacts import downloaded
from pipeline_tasks.tracking.datasets import Candidate, enter
from pipeline_tasks.tracking.registry import Dataset, Generator, Record, connect

QUICK = {"detector": SMALL_DETECTOR, "choose": {"folds": 2, "repeats": 2, "draws": 20, "normals": 2}}
GENERATOR = "defectline-plate-generator"
PAIRS = [
    Dataset(f"plate/{defect}", number * 32, f"dvc://data/pairs/plate/{defect}", pd.DataFrame({"a": [1]}), "pairs")
    for defect, number in (("pit", "1"), ("scratch", "2"))
]
"""As what the champion's run has logged."""
INGESTED = [*(f"data/{side}/plate" for side in ("base", "test")), "splits/plate.csv"]

pytestmark = pytest.mark.usefixtures("one_thread")


def write_samples(split, first):
    for defect in ("good", "pit"):
        rows = [noisy_sample(defect, first + number, split) for number in range(3)]
        write_rows(Path(f"data/{split}/plate/{defect}.parquet"), rows, Sample)


def write_pairs(first, **values):
    shown = [noisy_sample("pit", first + index) for index in range(4)]
    sized = {"width": 48, "height": 40} | values
    rows = [pair("pit", index, image=s.image, mask=s.mask, **sized) for index, s in enumerate(shown)]
    write_rows(Path("data/pairs/plate/pit/00000.parquet"), rows, Pair)


def write_lock():
    """Write dvc.lock as the files are, and return its version."""
    outs = {"ingest@plate": INGESTED, "generate@plate-pit": ["data/pairs/plate/pit"]}
    outs["masks@plate-pit"] = ["data/masks/plate/pit.parquet"]
    entries = {
        stage: {"cmd": "c", "outs": [{"path": p, "md5": md5_of(Path(p))} for p in its]} for stage, its in outs.items()
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": entries}))
    return load_lock(Path(), load_catalog()).version


def make_champion(version):
    """Register a data set that recommends half of the windows from pairs, as the champion; return its version."""
    Path("model").mkdir(exist_ok=True)
    Path("model/weights").write_text("1")
    with connect(uri(), "defectline", Path(".mlflow/artifacts")) as registry:
        run = registry.begin(version, {"mlflow.source.git.commit": "abc"})
        generator = registry.enter_generator(run, Generator(GENERATOR, md5_of(Path("model")), Path("model"), ""))
        before = registry.models.champion("defectline-plate-dataset")
        told = ("plate", choice(lift(0.03)), "champion", "It gains.", before and before.number, generator.uri)
        entered = enter(registry.models, run, Candidate(*told)).registered
        registry.complete(run, Record({}, {}, PAIRS, [generator, entered], Path("model")))
        registry.models.settle(entered)
    return version


def uri():
    return f"sqlite:///{Path('.mlflow/mlflow.db').resolve()}"


def versions():
    found = MlflowClient(uri()).search_model_versions("name = 'defectline-plate-unet'")
    return {str(version.version): version.tags for version in found}


def aliases():
    found = MlflowClient(uri()).get_registered_model("defectline-plate-unet").aliases
    return {alias: str(number) for alias, number in found.items()}


def result():
    return json.loads(Path("reports/detectors/plate.json").read_text())


@pytest.fixture(scope="module")
def fresh_database(tmp_path_factory):
    """An MLflow database without content, as making one takes seconds."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def workspace(tmp_path, monkeypatch, fresh_database):
    """A product with three base and three test images of a defect, and four pairs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_settings(tmp_path, **QUICK)
    item = {"product": "plate", "source": "plate", "defect": "pit", "generator": "plate", "prompts": "data/prompts"}
    generators = {"plate": {"base": "data/base/plate", "prompts": "data/prompts"}}
    products = {"plate": {"path": "raw", "layout": "mvtec", "licence": "CC-BY-4.0"}}
    catalog = {"products": products, "generators": generators, "defects": {"plate-pit": item}}
    Path("catalog.yaml").write_text(yaml.safe_dump(catalog))
    write_samples("base", 0)
    write_samples("test", 10)
    write_pairs(100)
    for name in ("splits/plate.csv", "data/masks/plate/pit.parquet"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("not read here")
    Path(".mlflow").mkdir()
    shutil.copy(fresh_database, ".mlflow/mlflow.db")
    return tmp_path


def test_the_champion_data_set_is_trained_on_and_the_detector_registered(workspace, capsys):
    version = make_champion(write_lock())
    retrain("plate")
    found = result()["detectors"]["unet"]
    assert (found["arms"], found["synthetic"], found["number"]) == ({"pit": "inpainting_50"}, {"pit": 4}, "1")
    assert (found["against"]["arms"], found["against"]["number"]) == ({"pit": "real_flip"}, None)
    (tags,) = versions().values()
    assert (tags["defectline.lock"], tags["defectline.git_revision"]) == (version, "abc")
    assert json.loads(tags["defectline.recipe"]) == found["arms"]
    assert json.loads(tags["defectline.detector"])["steps"] == SMALL_DETECTOR["steps"]
    assert tags["defectline.standing"] == found["standing"] == next(iter(aliases()))
    run = MlflowClient(uri()).get_run(result()["mlflow_run"])
    assert run.data.metrics["unet/test/pixel_ap"] == found["test"]["ours"]["pixel_ap"]
    assert run.data.params == {"product": "plate", "dataset": version, "unet.mixture": "inpainting_50"}
    files = {file.path for file in MlflowClient(uri()).list_artifacts(run.info.run_id)}
    assert files == {"plate.html", "plate.json", "defectline-plate-unet.md"}
    page = Path("reports/detectors/plate.html").read_text()
    assert found["reason"] in page and version in page
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"plate: trained as version {version} of its data set recommends"
    assert out.splitlines()[-1] == f"plate: unet version 1 {found['standing']}; see reports/detectors/plate.html"


def test_without_a_champion_real_images_are_trained_on_and_it_says_so(workspace, capsys):
    write_lock()
    retrain("plate")
    found = result()["detectors"]["unet"]
    assert (found["arms"], found["synthetic"], found["standing"]) == ({"pit": "real_flip"}, {}, "champion")
    assert result()["dataset"] is None
    note = "No data set is the champion in MLflow, so the detectors are trained on real images alone, with flips."
    assert note in capsys.readouterr().out and note in Path("reports/detectors/plate.html").read_text()
    assert versions()["1"]["defectline.lock"] == ""


def test_the_chain_back_to_data_generator_and_real_samples_is_on_record(workspace):
    version = make_champion(write_lock())
    retrain("plate")
    client, (tags,) = MlflowClient(uri()), versions().values()
    assert tags["defectline.dataset_model"] == "models:/defectline-plate-dataset/1"
    assert tags["defectline.generator_model"] == f"models:/{GENERATOR}/1"
    ids = {name: client.get_model_version(name, "1").source.removeprefix("models:/") for name in registered(client)}
    run = client.get_run(result()["mlflow_run"])
    assert {given.model_id for given in run.inputs.model_inputs} == {ids[GENERATOR], ids["defectline-plate-dataset"]}
    assert [made.model_id for made in run.outputs.model_outputs] == [ids["defectline-plate-unet"]]
    given = {(data.dataset.name, data.dataset.digest, data.tags[0].value) for data in run.inputs.dataset_inputs}
    base = md5_of(Path("data/base/plate"))
    assert given == {("plate/pit", "1" * 32, "pairs"), ("plate, base samples", base, "base")}, "no scratch was drawn on"
    learned = [noisy_sample(defect, number) for defect in ("good", "pit") for number in range(3)]
    expected = [{name: getattr(s, name) for name in IDENTITY} for s in learned]
    assert result()["detectors"]["unet"]["samples"] == expected
    with connect(uri(), "defectline", None) as registry:
        (detector,) = registry.models.versions("defectline-plate-unet")
        with downloaded(registry.models, detector) as folder:
            assert json.loads((folder / "retraining.json").read_text())["samples"] == expected
            assert content_digest(folder) == tags["defectline.files_digest"]
            card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    assert f"data set version `{version}`, registered as `models:/defectline-plate-dataset/1`, at git revision" in card
    assert tags["defectline.reason"] in card
    assert client.get_model_version("defectline-plate-unet", "1").description.startswith("U-Net localiser for plate, ")


def registered(client):
    return [model.name for model in client.search_registered_models()]


def test_without_a_champion_the_base_samples_are_all_that_it_is_linked_to(workspace):
    write_lock()
    retrain("plate")
    client, (tags,) = MlflowClient(uri()), versions().values()
    assert not {"defectline.dataset_model", "defectline.generator_model"} & set(tags)
    run = client.get_run(result()["mlflow_run"])
    assert ([d.dataset.name for d in run.inputs.dataset_inputs], run.inputs.model_inputs) == (
        ["plate, base samples"],
        [],
    )
    version = client.get_model_version("defectline-plate-unet", "1")
    assert [made.model_id for made in run.outputs.model_outputs] == [version.source.removeprefix("models:/")]
    assert "- real images alone, as no data set was the champion" in card_in(run)


def card_in(run):
    location = run.info.artifact_uri.removeprefix("file://")
    return Path(location, "defectline-plate-unet.md").read_text()


def test_nothing_is_done_twice(workspace, capsys, monkeypatch):
    make_champion(write_lock())
    retrain("plate")
    first, tags = result(), versions()
    capsys.readouterr()
    monkeypatch.setattr("pipeline_tasks.stages.retrain.train_localiser", lambda *_: pytest.fail("trained again"))
    retrain("plate")
    assert (result(), versions()) == (first, tags)
    assert "version 1, trained on just this before, is" in capsys.readouterr().out
    assert "nothing new was registered" in Path("reports/detectors/plate.html").read_text()
    assert len(MlflowClient(uri()).search_runs(["1"])) == 2, "of the data set and of the retraining"


def test_a_killed_retraining_is_completed_by_the_next(workspace, monkeypatch):
    make_champion(write_lock())

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, "set_registered_model_alias", killed)
        retrain("plate")
    monkeypatch.setattr("pipeline_tasks.stages.retrain.train_localiser", lambda *_: pytest.fail("trained again"))
    retrain("plate")
    assert len(versions()) == len(aliases()) == 1
    assert MlflowClient(uri()).get_run(result()["mlflow_run"]).info.status == "FINISHED"


def test_a_later_data_set_is_compared_with_what_the_champion_learned(workspace, monkeypatch):
    old = make_champion(write_lock())
    retrain("plate")
    promote("plate", "1", "for the test", detector="unet")
    shutil.copytree("data/pairs/plate", "old pairs")
    write_pairs(200)
    new = make_champion(write_lock())
    asked = []

    def pairs_of(origin, lock, product, folder):
        asked.append((origin.version, origin.revision, product, folder.as_posix()))
        return Made(Path("old pairs" if origin.version == old else "data/pairs/plate"), Path("data/masks/plate"))

    monkeypatch.setattr("pipeline_tasks.lineage.earlier_pairs.pairs_of", pairs_of)
    retrain("plate")
    assert asked == [(v, "abc", "plate", f".work/versions/plate/{v}") for v in (new, old)]
    found = result()["detectors"]["unet"]
    assert (found["number"], found["against"]["number"], found["against"]["version"]) == ("2", "1", old)
    assert not found["against"]["same_mixture"] and found["against"]["same_base"]
    assert versions()["2"]["defectline.compared_with"] == "1"
    assert found["test"]["theirs"]["pixel_ap"] is not None
    against = found["out_of_fold"]["against"]
    wins = min(against["per_run"]) > 0 and against["probability"] >= found["confidence"]
    assert aliases() == ({"champion": "2"} if wins else {"champion": "1", "challenger": "2"})


def returned(workspace, ruling, monkeypatch):
    """Train on real images, then on others, then find the first ones again, where the gate rules so."""
    write_lock()
    retrain("plate")
    write_settings(workspace, **QUICK | {"retrain": {"seed": 1}})
    retrain("plate")
    promote("plate", "2", "for the test", detector="unet")
    client, model = MlflowClient(uri()), "defectline-plate-unet"
    client.delete_model_version_tag(model, "1", "defectline.demotions")  # as if the gate had done it
    write_settings(workspace, **QUICK)
    monkeypatch.setattr("pipeline_tasks.stages.retrain.rule", lambda _: Ruling(*ruling))
    monkeypatch.setattr("pipeline_tasks.stages.retrain.train_localiser", lambda *_: pytest.fail("trained again"))


@pytest.mark.parametrize(
    ("standing", "then"), [("champion", {"champion": "1"}), ("challenger", {"champion": "2", "challenger": "1"})]
)
def test_where_the_data_return_an_earlier_detector_is_judged_against_the_present_champion(
    workspace, monkeypatch, capsys, standing, then
):
    returned(workspace, (standing, "So ruled."), monkeypatch)
    for _ in range(2):
        retrain("plate")
        assert aliases() == then
        assert "Judged again, as another one is the champion by now: So ruled." in capsys.readouterr().out
        monkeypatch.setattr("pipeline_tasks.stages.retrain.rule", lambda _: pytest.fail("judged twice"))
    assert (len(versions()), versions()["1"]["defectline.compared_with"]) == (2, "2")


def test_what_a_person_has_put_in_its_place_stays(workspace, monkeypatch):
    write_lock()
    retrain("plate")
    write_settings(workspace, **QUICK | {"retrain": {"seed": 1}})
    retrain("plate")
    promote("plate", "2", "for the test", detector="unet")
    write_settings(workspace, **QUICK)
    monkeypatch.setattr("pipeline_tasks.stages.retrain.rule", lambda _: pytest.fail("judged again"))
    retrain("plate")
    assert aliases() == {"champion": "2"}


def test_without_test_images_a_detector_is_registered_and_told(workspace):
    for defect in ("good", "pit"):
        write_rows(Path(f"data/test/plate/{defect}.parquet"), [], Sample)
    write_lock()
    retrain("plate")
    assert aliases() == {"champion": "1"}
    assert "There are no test images." in Path("reports/detectors/plate.html").read_text()


def test_what_choose_has_scored_on_folds_is_not_trained_for_again(workspace, monkeypatch):
    from pipeline_tasks.benefit import trainings
    from pipeline_tasks.commands.choose import choose

    chosen_from = QUICK["choose"] | {"arms": ["real_flip", "generator_50"], "budget_minutes": 0.0}
    write_settings(workspace, **QUICK | {"choose": chosen_from})
    make_champion(write_lock())
    folders = {name: Path(f"data/{name}/plate") for name in ("base", "masks", "pairs")}
    choose(product="plate", choice=Path("choice.json"), **folders)
    monkeypatch.setattr(trainings, "train_localiser", lambda *_: pytest.fail("trained for a fold"))
    retrain("plate")
    assert result()["detectors"]["unet"]["out_of_fold"]["against"]


def test_a_champion_trained_by_settings_of_another_defectline_is_still_compared(workspace, monkeypatch, capsys):
    write_lock()
    retrain("plate")
    client, model = MlflowClient(uri()), "defectline-plate-unet"
    client.set_model_version_tag(model, "1", "defectline.detector", '{"a setting": "unknown"}')
    write_settings(workspace, **QUICK | {"retrain": {"seed": 1}})
    retrain("plate")
    assert f"{model} version 1: its settings are those of another defectline" in capsys.readouterr().out
    assert "there is nothing to compare" in versions()["2"]["defectline.reason"]
    assert aliases() == {"champion": "1", "challenger": "2"}


@pytest.mark.parametrize("column", ["normal_path", "parent_a"])
def test_a_pair_whose_source_is_now_a_test_image_is_refused(workspace, column):
    write_pairs(100, **{column: "test/pit/010.png"})
    make_champion(write_lock())
    with pytest.raises(LeakageError, match=r"pair plate/pit/000000 comes from 'test/pit/010\.png'.*promote"):
        retrain("plate")
    assert not Path("reports").exists()


def test_samples_that_are_not_the_locks_are_refused(workspace):
    write_lock()
    write_samples("base", 1)
    with pytest.raises(PublicationError, match=r"data/base/plate.*dvc pull"):
        retrain("plate")


def test_a_product_that_is_not_in_the_catalog_is_named(workspace):
    with pytest.raises(ConfigError, match=r"--product: catalog\.yaml has no 'tile'; it has plate"):
        retrain("tile")


def test_without_defect_images_there_is_nothing_to_train(workspace, capsys):
    Path("data/base/plate/pit.parquet").unlink()
    write_lock()
    retrain("plate")
    assert capsys.readouterr().out == "plate: the base set holds no defect image, so there is no detector to train\n"
