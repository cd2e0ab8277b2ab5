"""The file that DEFECTLINE_PODS names."""

from pathlib import Path

import pytest
import yaml

from dags.pod_settings import load_pod_settings
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.stage_image import WORKPLACE

EXAMPLE = Path(__file__).parents[2] / "containers" / "kubernetes" / "pods.yaml"


@pytest.fixture
def load(tmp_path):
    """Loads the example with other values, by dotted key; None removes one."""

    def run(**changes):
        settings = yaml.safe_load(EXAMPLE.read_text())
        for key, value in changes.items():
            *above, last = key.split("__")
            section = settings
            for name in above:
                section = section[name]
            section[last] = value
        path = tmp_path / "pods.yaml"
        path.write_text(yaml.safe_dump(settings))
        return load_pod_settings(path)

    return run


def test_the_example_is_complete_and_right(load):
    settings = load()
    assert (settings.namespace, settings.service_account) == ("defectline", "defectline-stage")
    assert settings.git_secret == "defectline-git" and settings.secrets == ["defectline-s3"]
    assert (settings.gpu.resource, settings.gpu.count) == ("nvidia.com/gpu", 1)


def test_what_must_be_there_is_little(tmp_path):
    least = dict.fromkeys(("namespace", "service_account", "repository", "branch", "remote"), "a")
    path = tmp_path / "pods.yaml"
    path.write_text(yaml.safe_dump({**least, "images": {"cpu": "c", "gpu": "g"}}))
    settings = load_pod_settings(path)
    assert (settings.env, settings.secrets, settings.git_secret, settings.volumes) == ({}, [], None, [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "colour: unknown key"),
        ({"images": {"cpu": "c"}}, "images.gpu: missing"),
        ({"namespace": "Defect Line"}, "namespace: .*'Defect Line'"),
        ({"gpu__count": 0}, "gpu.count"),
        ({"gpu__tolerations": [{"key": "gpu", "effect": "Never"}]}, r"gpu.tolerations.0.effect.*'Never'"),
        ({"branch": "--upload-pack=touch"}, "branch"),
        ({"repository": "--upload-pack=touch"}, "repository"),
        ({"whole__disk": "much"}, "whole.disk.*'much'"),
        ({"volumes": [{"claim": "raw", "path": "data/raw"}]}, "volumes.0.path: 'data/raw' should be absolute"),
        ({"volumes": [{"claim": "raw", "path": f"{WORKPLACE}/raw"}]}, f"volumes.0.path: '{WORKPLACE}/raw' .*outside"),
        ({"env": {"AWS_SECRET_ACCESS_KEY": "hunter2"}}, "env.AWS_SECRET_ACCESS_KEY: .*sounds like a secret"),
        ({"env": {"MLFLOW_TRACKING_URI": "http://me:hunter2@mlflow"}}, "env.MLFLOW_TRACKING_URI: .*holds a user or"),
        ({"repository": "https://me:hunter2@git.example.org/a.git"}, "repository: the URL holds a user or password"),
        ({"repository": "https://hunter2@git.example.org/a.git"}, "repository: the URL holds a user or password"),
        ({"remote": "s3://me:hunter2@store/path"}, "remote: the URL holds a user or password"),
    ],
)
def test_a_wrong_key_is_named_with_its_file_and_no_secret_is_told(load, changes, message):
    with pytest.raises(ConfigError, match=rf"pods\.yaml: {message}") as raised:
        load(**changes)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("url", ["git@git.example.org:a/b.git", "ssh://git@git.example.org/a.git", "/srv/git/a.git"])
def test_a_user_that_is_no_secret_may_be_named(load, url):
    assert load(repository=url, env={"TOKENIZERS_PARALLELISM": "false"}).repository == url


def test_a_file_that_is_not_there_or_no_yaml_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: missing; .*DEFECTLINE_PODS"):
        load_pod_settings(tmp_path / "none.yaml")
    (tmp_path / "pods.yaml").write_text("images: [")
    with pytest.raises(ConfigError, match=r"pods\.yaml: not YAML"):
        load_pod_settings(tmp_path / "pods.yaml")
    (tmp_path / "pods.yaml").write_text("")
    with pytest.raises(ConfigError, match=r"pods\.yaml: the file: "):
        load_pod_settings(tmp_path / "pods.yaml")
