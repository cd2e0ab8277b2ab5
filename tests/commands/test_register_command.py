import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from benefit_results import evaluation
from choices import choice, lift
from mlflow import MlflowClient
from rows import PLAIN, digest, pair, sample, trials
from settings import write_settings

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.commands.promote import promote
from pipeline_tasks.commands.register import register
from pipeline_tasks.errors import PublicationError
from pipeline_tasks.images.codec import encode_image
from pipeline_tasks.lineage.dvc_files import DvcFiles
from pipeline_tasks.lineage.lock import load_lock, md5_of
from pipeline_tasks.lineage.releases import tag_message
from pipeline_tasks.schema import GOOD, Pair, Sample, SetAside, StrengthTrial
from pipeline_tasks.splits.membership import Member, write_members
from pipeline_tasks.storage import write_json, write_rows

DEFECTS = ["pit", "scratch"]


def outputs(product, generator):
    return {
        f"ingest@{product}": [
            *(f"data/{side}/{product}" for side in ("base", "test")),
            f"data/set_aside/{product}.parquet",
            f"splits/{product}.csv",
        ],
        f"prompts@{product}": [f"data/prompts/{product}.json"],
        f"pretrain@{generator}": [f"data/pretrained/{generator}"],
        f"train@{generator}": [f"data/models/{generator}"],
        **{f"generate@{product}-{defect}": [f"data/pairs/{product}/{defect}"] for defect in DEFECTS},
        f"validate@{product}": [f"data/validation/{product}/result.json", f"data/validation/{product}/docs"],
        f"choose@{product}": [f"data/choice/{product}.json"],
        f"evaluate@{product}": [f"data/evaluation/{product}.json", f"data/evaluation/curves/{product}.csv"],
    }


def write_outputs():
    for defect in [GOOD, *DEFECTS]:
        write_rows(Path(f"data/base/plate/{defect}.parquet"), [sample(defect, i) for i in range(3)], Sample)
        shown = {image["source_path"] for image in evaluation()["images"]["chosen"] if image["defect"] == defect}
        held_out = [sample(defect, i, source_path=path) for i, path in enumerate(sorted(shown))]
        write_rows(Path(f"data/test/plate/{defect}.parquet"), held_out, Sample)
    set_aside = [SetAside("plate", "pit/broken.png", "unreadable image", "cut off", "export it again")]
    write_rows(Path("data/set_aside/plate.parquet"), set_aside, SetAside)
    names = [f"base/pit/{i:03d}.png" for i in range(3)]
    shots = [Member(name, digest(name), "pit", False, "base", names[0], True, "few-shot-10") for name in names]
    write_members(Path("splits/plate.csv"), shots)
    for defect in DEFECTS:
        for shard in range(2):
            rows = [pair(defect, shard * 10 + i, normal_path=f"base/good/{i % 3:03d}.png") for i in range(10)]
            write_rows(Path(f"data/pairs/plate/{defect}/{shard:05d}.parquet"), rows, Pair)
    write_json(Path("data/models/plate/curve.json"), {"step": [0, 1], "loss": [2.0, 1.0]})
    base_model = {"source": "scratch", "revision": None, "codec_psnr_db": 31.25}
    write_json(Path("data/pretrained/plate/pretrained.json"), base_model)
    write_json(Path("data/prompts/plate.json"), {"kind": "template", "asked": "semantic", "reason": "no CLIP here"})
    empty = {name: {} for name in ("made_again", "rejected", "refused", "test", "shortfall")}
    seen = {"base": dict.fromkeys([GOOD, *DEFECTS], 3)}
    counts = {"asked_per_defect": 20, "pairs": {"pit": 20, "scratch": 20}, **empty, **seen}
    write_json(Path("data/validation/plate/result.json"), {"verdict": "passed", "counts": counts, "expectations": []})
    Path("data/validation/plate/docs").mkdir()
    Path("data/validation/plate/docs/index.html").write_text("data docs")
    write_choice(choice(lift(0.03)))
    write_json(Path("data/evaluation/plate.json"), evaluation())
    Path("data/evaluation/curves").mkdir()
    Path("data/evaluation/curves/plate.csv").write_text("arm,recall,precision\nreal_flip,0.5,0.75\n")


def write_choice(chosen, product="plate"):
    write_json(Path(f"data/choice/{product}.json"), chosen)


def md5(path):
    """DVC's hash, as tests/lineage/test_lock.py holds it against DVC's own."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listing = [{"md5": md5(path / file), "relpath": file} for file in files]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def write_lock(generator="plate", targets=()):
    stages = {
        stage: {"cmd": "c", "outs": [{"path": path, "hash": "md5", "md5": md5(Path(path))} for path in paths]}
        for product in ["plate", *targets]
        for stage, paths in outputs(product, generator).items()
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def write_catalog(generator="plate", targets=(), **told):
    """Write a catalog of the plate, and of target products that its defects are made on as well."""
    products = ["plate", *targets]
    shared = {"source": "plate", "generator": generator, "prompts": "data/prompts"}
    catalog = {
        "products": {product: {"path": "raw", "layout": "mvtec", **told} for product in products},
        "generators": {generator: {"base": "data/base", "prompts": "data/prompts"}},
        "defects": {f"{p}-{d}": {"product": p, "defect": d, **shared} for p in products for d in DEFECTS},
    }
    Path("catalog.yaml").write_text(yaml.safe_dump(catalog))


@pytest.fixture(scope="module")
def fresh_database(tmp_path_factory):
    """An MLflow database without content, as making one takes seconds."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def workspace(tmp_path, monkeypatch, fresh_database):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_settings(tmp_path, register={"sample_pairs": 4})
    write_catalog()
    write_outputs()
    write_lock()
    Path(".mlflow").mkdir()
    shutil.copy(fresh_database, ".mlflow/mlflow.db")
    return tmp_path


def latest():
    return json.loads(Path("reports/latest.json").read_text())


def client():
    return MlflowClient(f"sqlite:///{Path('.mlflow/mlflow.db').resolve()}")


def runs():
    return client().search_runs([client().get_experiment_by_name("defectline").experiment_id])


def versions(name):
    return client().search_model_versions(f"name = 'defectline-{name}'")


def aliases():
    found = client().get_registered_model("defectline-plate-dataset").aliases
    return {alias: str(number) for alias, number in found.items()}


def reason_of(number):
    return client().get_model_version("defectline-plate-dataset", number).tags["defectline.reason"]


def refresh(chosen):
    """Register another version: one with this choice."""
    write_choice(chosen)
    write_lock()
    register()


def test_a_version_is_registered_and_reported(workspace, capsys):
    register()
    published = latest()
    assert set(published) == {"version", "report", "mlflow_run", "mlflow_uri", "dataset"}
    assert published["dataset"] == "data/pairs/plate"
    report = Path(published["report"])
    assert report == Path("reports", published["version"], "report.html")
    page = report.read_text()
    assert published["mlflow_run"] in page
    assert "pit/broken.png" in (report.parent / "quarantine.html").read_text()
    assert "3 images look like repeated shots of 1 part (" in page
    for index in (0, 5, 10, 15):
        assert f"plate/scratch/{index:06d}" in page
    assert page.count("plate/scratch/") == 4 + 3 + 3, "spread over all, the best, the worst"
    assert (report.parent / "data_docs/plate/index.html").read_text() == "data docs"
    printed = capsys.readouterr().out
    for value in published.values():
        assert value in printed


def test_the_run_holds_parameters_scores_datasets_model_and_files(workspace):
    register()
    run = client().get_run(latest()["mlflow_run"])
    assert run.data.params["register.sample_pairs"] == "4"
    assert run.data.params["validate.distinct_normals.min_count"] == "2"
    assert run.data.metrics["plate/unet/real_flip/pixel_ap_mean"] == 0.5
    assert run.data.metrics["plate/pairs/pit"] == 20
    assert not any("image_auroc" in name for name in run.data.metrics)
    lock = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    digests = {data.dataset.name: data.dataset.digest for data in run.inputs.dataset_inputs}
    pairs = {f"plate/{d}": lock[f"generate@plate-{d}"]["outs"][0]["md5"] for d in DEFECTS}
    assert digests == {**pairs, "plate, base samples": lock["ingest@plate"]["outs"][0]["md5"]}
    (model,) = versions("plate-generator")
    assert model.tags["defectline.digest"] == lock["train@plate"]["outs"][0]["md5"]
    files = {file.path for file in client().list_artifacts(run.info.run_id)}
    assert files == {"report.html", "quarantine.html", "samples", "data_docs", "dataset_card.md", "cards"}
    assert {file.path for file in client().list_artifacts(run.info.run_id, "samples")} == {
        "samples/plate-pit.jpg",
        "samples/plate-scratch.jpg",
    }


def test_the_models_of_a_version_are_linked_to_one_another_and_to_its_run(workspace):
    register()
    (generator,), (dataset,) = versions("plate-generator"), versions("plate-dataset")
    assert dataset.tags["defectline.generator_model"] == "models:/defectline-plate-generator/1"
    made = {version.source.removeprefix("models:/") for version in (generator, dataset)}
    run = client().get_run(latest()["mlflow_run"])
    assert {output.model_id for output in run.outputs.model_outputs} == made
    assert run.inputs.model_inputs == []
    refresh(choice(lift(0.05)))
    run = client().get_run(latest()["mlflow_run"])
    assert [given.model_id for given in run.inputs.model_inputs] == [generator.source.removeprefix("models:/")]
    assert len(run.outputs.model_outputs) == 1
    assert {version.tags["defectline.generator_model"] for version in versions("plate-dataset")} == {
        "models:/defectline-plate-generator/1"
    }


def test_cards_tell_what_the_version_and_its_generator_are(workspace):
    write_catalog(licence="CC-BY-4.0")
    register()
    folder, version = Path(latest()["report"]).parent, latest()["version"]
    card = (folder / "dataset_card.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\n") and f"- data set version: `{version}`" in card
    assert "| plate | pit | 20 | 3 | 1 | 3 | real masks, warped | 48 × 48 |" in card
    assert reason_of("1") in card
    (dataset,), (generator,) = versions("plate-dataset"), versions("plate-generator")
    location = client().get_logged_model(dataset.source.removeprefix("models:/")).artifact_location
    assert Path(location.removeprefix("file://"), "README.md").read_text() == card
    assert dataset.description.startswith(f"Pairs on plate: 20 of pit and 20 of scratch; version {version}")
    told = (folder / "cards/defectline-plate-generator.md").read_text()
    assert told.endswith(f"\n---\n\n{generator.description}") and "license: cc-by-4.0" in told
    assert generator.description.startswith("# defectline-plate-generator\n")


def commit():
    """Commit everything but what the project ignores; return the commit."""
    Path(".gitignore").write_text("/data/\n/.mlflow/\n/reports/\n/.work/\n")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "Refresh"]):
        subprocess.run([*git, *command], check=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip()


def release(number):
    """Tag what is checked out as `defectline publish` does."""
    version = load_lock(Path(), load_catalog()).version
    message = tag_message(version, "0" * 32)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run([*git, "tag", "--annotate", "--message", message, f"dataset-{number}"], check=True)


def test_a_published_version_names_its_release_and_the_commit_that_keeps_it(workspace):
    revision = commit()
    release(3)
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "Later", "--allow-empty"], check=True
    )
    register()
    (dataset,) = versions("plate-dataset")
    assert (dataset.tags["defectline.release"], dataset.tags["defectline.git_revision"]) == ("3", revision)
    inputs = client().get_run(latest()["mlflow_run"]).inputs.dataset_inputs
    sources = [DvcFiles.parse(json.loads(data.dataset.source)["uri"]) for data in inputs]
    assert {(source.revision, source.repository) for source in sources} == {(revision, workspace.as_uri())}
    assert {source.path for source in sources} == {"data/base/plate", *(f"data/pairs/plate/{d}" for d in DEFECTS)}
    assert all(md5_of(Path(source.path)) == source.md5 for source in sources)
    assert (
        f"release: `dataset-3`, a tag in git\n- git revision: `{revision}`"
        in (Path(latest()["report"]).parent / "dataset_card.md").read_text()
    )


def test_a_version_that_was_registered_before_it_was_published_gets_its_release_then(workspace):
    register()
    assert "defectline.release" not in versions("plate-dataset")[0].tags
    revision = commit()
    release(1)
    register()
    (dataset,) = versions("plate-dataset")
    assert (dataset.tags["defectline.release"], dataset.tags["defectline.git_revision"]) == ("1", revision)


def test_a_generator_of_several_products_is_registered_under_its_own_name(workspace):
    for folder in ("models", "pretrained"):
        Path(f"data/{folder}/plate").rename(f"data/{folder}/shared")
    write_catalog("shared")
    write_lock("shared")
    register()
    (model,) = versions("shared-generator")
    lock = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    assert model.tags["defectline.digest"] == lock["train@shared"]["outs"][0]["md5"]


def write_transformer(start):
    layers = {"background_layers": 3, "defect_layers": 2, "fusion_layers": 1}
    write_json(Path("data/models/plate/tdia/config.json"), layers)
    card = {"source": "scratch", "revision": None, "codec_psnr_db": None, "transformer": start}
    write_json(Path("data/pretrained/plate/pretrained.json"), card)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (None, "random weights. DefectDiffu starts from a DiT pretrained on ImageNet (backend.transformer)"),
        (
            {"source": "lab/DiT", "revision": "abcdef0123456789", "files": {}, "digest": ""},
            "lab/DiT, revision abcdef012345</dd>",
        ),
    ],
)
def test_a_transformer_is_told_with_its_blocks_and_what_they_start_from(workspace, start, words):
    write_transformer(start)
    write_lock()
    register()
    page = Path(latest()["report"]).read_text()
    assert f"<dd>3 background, 2 defect, 1 fusion blocks; start: {words}" in page


def test_the_strength_of_a_defect_is_reported_where_it_was_tried(workspace):
    write_rows(Path("data/pairs/plate/pit/strength/00000.parquet"), trials(3, [0, 10, 20]), StrengthTrial)
    write_lock()
    register()
    assert Path(latest()["report"]).read_text().count("<h4>Defect strength</h4>") == 1
    metrics = client().get_run(latest()["mlflow_run"]).data.metrics
    assert metrics["plate/strength/pit/spearman_mean"] == pytest.approx(1)
    assert "plate/strength/scratch/spearman_mean" not in metrics


def test_a_pair_generated_whole_needs_no_normal_image_of_the_base_set(workspace):
    whole = {"normal_path": None, "mask_kind": "attention", "parent_a": None, "parent_b": None, "alpha": None}
    rows = [pair("pit", i, **whole, warp=[], normal=encode_image(PLAIN)) for i in range(10)]
    write_rows(Path("data/pairs/plate/pit/00000.parquet"), rows, Pair)
    write_lock()
    register()
    assert Path(latest()["report"]).read_text().count("normal image: generated too") == 2


def test_a_defect_learned_on_another_product_is_shown_beside_that_products_real_ones(workspace):
    for folder in ("base", "test", "pairs", "validation"):
        shutil.copytree(f"data/{folder}/plate", f"data/{folder}/tile")
    single = ("set_aside/plate.parquet", "prompts/plate.json", "evaluation/plate.json", "evaluation/curves/plate.csv")
    for file in single:
        shutil.copy(f"data/{file}", f"data/{file.replace('plate', 'tile')}")
    write_choice(choice(None, "undecidable", product="tile", reason="It has no real defects."), "tile")
    for defect in DEFECTS:
        Path(f"data/base/tile/{defect}.parquet").unlink()
    shutil.copy("splits/plate.csv", "splits/tile.csv")
    write_catalog(targets=["tile"])
    write_lock(targets=["tile"])
    register()
    page = Path(latest()["report"]).read_text()
    assert page.count("learned on plate, made on tile, which has shown no such defect") == len(DEFECTS)
    assert page.count("<h4>Real on plate, for comparison</h4>") == len(DEFECTS)


def test_registering_one_lock_twice_gives_one_run_one_model_and_the_same_report(workspace, capsys):
    register()
    first, page = latest(), Path(latest()["report"]).read_bytes()
    register()
    assert "already registered" in capsys.readouterr().out
    assert (latest(), Path(latest()["report"]).read_bytes()) == (first, page)
    assert len(runs()) == len(versions("plate-generator")) == len(versions("plate-dataset")) == 1


def test_another_lock_is_another_version(workspace):
    register()
    first = latest()["version"]
    refresh(choice(lift(0.04)))
    assert latest()["version"] != first
    assert len(runs()) == len(versions("plate-dataset")) == 2
    assert len(versions("plate-generator")) == 1
    assert first in Path(latest()["report"]).read_text(), "the version before is named"


@pytest.mark.parametrize(
    "step", ["create_model_version", "log_artifacts", "set_terminated", "set_registered_model_alias"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_registration_is_completed_by_the_next(workspace, monkeypatch, step, when):
    real = getattr(MlflowClient, step)

    def killed(*arguments, **options):
        if when == "after":
            real(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, step, killed)
        register()
    assert not Path("reports/latest.json").exists()
    register()
    (run,) = runs()
    assert (run.info.run_id, run.info.status) == (latest()["mlflow_run"], "FINISHED")
    assert len(versions("plate-generator")) == len(versions("plate-dataset")) == 1
    assert aliases() == {"champion": "1"}
    assert "There is no champion yet." in reason_of("1")


def test_the_first_version_that_helps_is_the_champion_and_all_is_on_record(workspace, capsys):
    register()
    printed = capsys.readouterr().out
    assert "plate: champion. Out of fold, plate trained as chosen differs from real_flip by +0.030 pixel AP" in printed
    assert "defectline-plate-dataset: this is version 1; the champion is version 1" in printed
    assert aliases() == {"champion": "1"}
    (version,) = versions("plate-dataset")
    assert version.tags["defectline.lock"] == latest()["version"]
    assert (version.run_id, version.tags["defectline.lift_gain"]) == (latest()["mlflow_run"], "0.03")
    assert reason_of("1") in " ".join(Path(latest()["report"]).read_text().split())


def test_a_worse_version_is_a_challenger_with_the_reason_and_the_champion_stays(workspace, capsys):
    refresh(choice(lift(0.05)))
    first = latest()["version"]
    capsys.readouterr()
    refresh(choice(lift(0.03)))
    assert aliases() == {"champion": "1", "challenger": "2"}
    ending = f"It is 0.02 below the +0.050 of the present champion, version 1 ({first})."
    assert reason_of("2").endswith(ending)
    printed = capsys.readouterr().out
    assert f"plate: challenger. {reason_of('2')}" in printed
    assert "defectline-plate-dataset: this is version 2; the champion is version 1" in printed


def test_a_better_version_takes_the_alias(workspace):
    refresh(choice(lift(0.03)))
    refresh(choice(lift(0.05)))
    assert aliases() == {"champion": "2"}


def test_a_spoilt_version_is_refused_with_the_reason_in_the_report_and_in_mlflow(workspace):
    refresh(choice(lift(0.03)))
    refresh(choice(lift(-0.2, probability=0.0)))
    assert aliases() == {"champion": "1", "challenger": "2"}
    assert "2 of 2 repeats show no gain (-0.210, -0.190)" in reason_of("2")
    assert reason_of("2") in " ".join(Path(latest()["report"]).read_text().split())


def test_a_version_without_a_lift_is_a_challenger_that_recommends_real_images_alone(workspace):
    refresh(choice(None, "no synthesis"))
    assert aliases() == {"challenger": "1"}
    (version,) = versions("plate-dataset")
    recommended = json.loads(version.tags["defectline.recommendation"])["defects"]
    assert {defect: found["arm"] for defect, found in recommended.items()} == dict.fromkeys(DEFECTS, "real_flip")


def test_a_version_whose_data_have_returned_is_told_from_the_champion_of_today(workspace):
    for gain in (0.03, 0.05, 0.03):
        refresh(choice(lift(gain)))
    assert aliases() == {"champion": "2"}
    page = Path(latest()["report"]).read_text()
    assert '<span class="badge superseded">superseded</span> Version 1 of defectline-plate-dataset is kept' in page
    assert "version 2 is the champion." in page and "by hand" not in page
    assert f"When it was registered, the gate made it a champion: {reason_of('1')}" in " ".join(page.split())


def test_a_promotion_by_hand_survives_every_repetition_and_bars_what_is_worse(workspace):
    for gain in (0.05, 0.03):
        refresh(choice(lift(gain)))
    promote("plate", "2", "the customer asked for it")
    told = ["is kept beside; version 2 is the champion.", "is the one to train with."]
    ruled = ["the gate made it a champion: Out of fold", "the gate made it a challenger: Out of fold"]
    for gain, sentence, ruling in zip((0.05, 0.03), told, ruled, strict=True):
        refresh(choice(lift(gain)))
        assert aliases() == {"champion": "2"}
        page = Path(latest()["report"]).read_text()
        assert sentence in page and ruling in page
        assert "Version 2 was made the champion by hand, by " in page and ": the customer asked for it</p>" in page
    assert len(versions("plate-dataset")) == 2
    (act,) = json.loads(client().get_model_version("defectline-plate-dataset", "2").tags["defectline.promotions"])
    assert (act["reason"], act["other"]) == ("the customer asked for it", "1")
    refresh(choice(lift(0.02)))
    assert aliases() == {"champion": "2", "challenger": "3"}
    assert "below the +0.030 of the present champion, version 2" in reason_of("3")


def test_a_workspace_that_is_not_the_locks_is_refused(workspace):
    write_json(Path("data/evaluation/plate.json"), {"arms": {}})
    with pytest.raises(PublicationError, match=r"data/evaluation/plate\.json.*dvc repro"):
        register()
    assert not Path("reports").exists()


def test_credentials_stay_out_of_what_is_said(workspace, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setattr("pipeline_tasks.tracking.store.SETTINGS", {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"})
    with pytest.raises(PublicationError, match=r"MLflow at http://127\.0\.0\.1:9") as caught:
        register()
    assert "secret" not in str(caught.value) + "".join(capsys.readouterr())


def test_credentials_stay_out_of_what_is_written(workspace, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace}/.mlflow/mlflow.db?timeout=17")
    register()
    assert latest()["mlflow_uri"] == f"sqlite:///{workspace}/.mlflow/mlflow.db"
    assert "timeout" not in Path("reports/latest.json").read_text() + Path(latest()["report"]).read_text()
