"""A registered detector, loaded from the registry by a process that knows nothing but its URI."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from settings import small_detector

from pipeline_tasks.detectors.kinds import train_localiser
from pipeline_tasks.detectors.windows import Mix, Scene, as_scene
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.storage import content_digest
from pipeline_tasks.tracking.artifacts import downloaded
from pipeline_tasks.tracking.detectors import (
    NEEDS,
    TrainedDetector,
    Training,
    champion_detector,
    enter_detector,
    find_detector,
    judge_again,
    localiser_of,
    record_of,
)

LOAD = """
import json, sys, warnings
import numpy as np
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's, about its own types
    import mlflow.pyfunc
loaded = mlflow.pyfunc.load_model(sys.argv[1])
import pipeline_tasks
images = np.load(sys.argv[2])
np.save(sys.argv[3], loaded.predict(images))
try:
    loaded.predict(images.astype(np.float32))
    refused = False
except mlflow.MlflowException:
    refused = True
about = {"inputs": loaded.metadata.signature.inputs.to_dict(), "outputs": loaded.metadata.signature.outputs.to_dict()}
example = loaded.predict(loaded.metadata.load_input_example(mlflow.artifacts.download_artifacts(sys.argv[1])))
files = [module.__file__ for name, module in sys.modules.items() if name.startswith("pipeline_tasks.")]
print(json.dumps({**about, "files": files, "refused": refused, "example": example.shape}))
"""
DISTRIBUTED = {"opencv-python-headless": "cv2", "PyYAML": "yaml"}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def localiser():
    """A detector, trained for two steps."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    scene = Scene(pixels, np.zeros((40, 48), bool), float(pixels.mean()), float(pixels.std()))
    real, mixes = {"good": [scene], "pit": [scene]}, {"pit": Mix([], 0.0, "flip")}
    return train_localiser("unet", real, mixes, small_detector(), 0, lambda: None)


def imported(files):
    """The libraries that modules import when they are loaded."""
    nodes = [node for file in files for node in ast.parse(Path(file).read_text()).body]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names} - {*sys.stdlib_module_names, "pipeline_tasks"}


def trained(name, **changes):
    values = {
        "digest": "d" * 64,
        "version": "a1",
        "git_revision": "",
        "generator": "inpainting",
        "base_digest": "b" * 64,
    }
    training = Training(**values, arms={"pit": "paste_50"}, settings=small_detector().model_dump_json())
    told = {"standing": "champion", "reason": "It is not worse.", "compared_with": None}
    return TrainedDetector(product=name, kind="unet", training=training, record={"measured": 1}, **told | changes)


def entered(registry, name, localiser, **changes):
    run = registry.begin(name, {}, "defectline.retraining")
    example = np.full((16, 24, 3), 90, np.uint8)
    version = enter_detector(registry.models, run, trained(name, **changes), localiser, example)
    registry.models.settle(version.registered)
    return version


def test_a_fresh_process_loads_it_by_its_alias_and_it_predicts_as_it_did(registry, uri, name, localiser, tmp_path):
    entered(registry, name, localiser)
    images = np.random.default_rng(1).integers(0, 256, (2, 70, 90, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    model = f"models:/defectline-{name}-unet@champion"
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"MLFLOW_TRACKING_URI": uri}
    command = [sys.executable, "-c", LOAD, model, tmp_path / "images.npy", tmp_path / "predicted.npy"]
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    about = json.loads(done.stdout.splitlines()[-1])
    predicted = np.load(tmp_path / "predicted.npy")

    from pipeline_tasks.tracking.served_detector import probabilities

    expected = [probabilities(localiser, image) for image in images]
    assert (predicted.dtype, predicted.shape) == (np.float32, (2, 70, 90)), (
        "larger than it learned from: scaled there and back"
    )
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-6)
    assert 0 <= predicted.min() < predicted.max() <= 1
    assert [part["tensor-spec"] for part in about["inputs"]] == [{"dtype": "uint8", "shape": [-1, -1, -1, 3]}]
    assert [part["tensor-spec"] for part in about["outputs"]] == [{"dtype": "float32", "shape": [-1, -1, -1]}]
    assert (about["refused"], about["example"]) == (True, [1, 16, 24])
    assert all("/code/pipeline_tasks/" in file for file in about["files"]), "it carries the code that it was trained by"
    assert imported(about["files"]) <= {DISTRIBUTED.get(name, name) for name in NEEDS}, "and names all that this needs"


def test_nothing_of_it_is_a_pickle(registry, uri, name, localiser):
    version = entered(registry, name, localiser)
    client = MlflowClient(uri)
    ahead, found = [""], set()
    while ahead:
        for entry in client.list_logged_model_artifacts(version.registered.model_id, ahead.pop() or None):
            ahead += [entry.path] if entry.is_dir else []
            found |= set() if entry.is_dir else {entry.path}
    assert {"MLmodel", "served_detector.py", "artifacts/detector/detector.safetensors", "retraining.json"} <= found
    assert not [path for path in found if path.endswith((".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".pyc"))]


def test_it_is_found_again_by_what_it_learned_and_as_the_champion(registry, name, localiser):
    assert champion_detector(registry.models, name, "unet") is None
    assert find_detector(registry.models, name, "unet", "d" * 64) is None
    version = entered(registry, name, localiser)
    assert find_detector(registry.models, name, "unet", "d" * 64).number == version.number == "1"
    champion = champion_detector(registry.models, name, "unet")
    assert champion.training == trained(name).training
    assert (champion.standing, champion.reason, champion.compared_with) == ("champion", "It is not worse.", None)
    assert record_of(registry.models, champion.registered) == {"measured": 1}
    image = np.full((32, 32, 3), 70, np.uint8)
    scene = as_scene(image, np.zeros((32, 32), bool), 64)
    restored = localiser_of(registry.models, champion, "cpu")
    np.testing.assert_array_equal(restored.score_map(scene), localiser.score_map(scene))


def test_what_it_was_trained_as_is_on_record_or_that_it_was_not(registry, uri, name, localiser):
    links = {"dataset_model": "models:/defectline-p-dataset/2", "generator_model": "models:/defectline-g-generator/1"}
    version = entered(registry, name, localiser, **links, card="# A detector", description="Marks pits.")
    tags = version.registered.tags
    assert {key: tags[f"defectline.{key}"] for key in links} == links
    assert version.dataset_model == links["dataset_model"]
    assert MlflowClient(uri).get_model_version(version.registered.model, "1").description == "Marks pits."
    bare = entered(registry, f"{name}x", localiser)
    assert bare.dataset_model == "" and not {f"defectline.{key}" for key in links} & set(bare.registered.tags)


def test_its_files_its_code_and_its_record_come_back_as_they_were_sealed(registry, name, localiser):
    version = entered(registry, name, localiser, card="# A detector").registered
    with downloaded(registry.models, version) as folder:
        assert content_digest(folder) == version.tags["defectline.files_digest"]
        assert (folder / "README.md").read_text() == "# A detector"
        swapped = folder / "code/pipeline_tasks/detectors/kinds.py"
        swapped.write_text(swapped.read_text() + "\n")
        assert content_digest(folder) != version.tags["defectline.files_digest"]


def test_the_same_training_is_registered_once(registry, uri, name, localiser):
    first = entered(registry, name, localiser)
    again = entered(registry, name, localiser, standing="challenger", reason="It is worse.")
    assert (again.number, again.standing, again.reason) == (first.number, "champion", "It is not worse.")
    assert len(MlflowClient(uri).search_model_versions(f"name = 'defectline-{name}-unet'")) == 1


def test_a_detector_judged_again_keeps_what_it_is_and_gets_the_new_standing(registry, name, localiser):
    version = entered(registry, name, localiser)
    again = judge_again(registry.models, version, "challenger", "It is worse by now.", "4")
    assert again.training == version.training
    assert (again.standing, again.reason, again.compared_with) == ("challenger", "It is worse by now.", "4")
    assert find_detector(registry.models, name, "unet", "d" * 64) == again


def test_a_champion_that_was_not_trained_here_is_refused_by_name(registry, uri, name, localiser):
    version = entered(registry, name, localiser)
    client, model = MlflowClient(uri), f"defectline-{name}-unet"
    client.create_model_version(model, version.registered.source)
    client.set_registered_model_alias(model, "champion", "2")
    with pytest.raises(ConfigError, match=rf"{model} version 2 in MLflow: without the tags .*defectline promote"):
        champion_detector(registry.models, name, "unet")
