"""The images of stages against what the pipeline takes for granted."""

from pathlib import Path

import pytest

from pipeline_tasks.lineage.stage_image import USER, WORKPLACE

DOCKERFILE = (Path(__file__).parents[2] / "containers" / "Dockerfile").read_text()


def test_images_work_where_the_volume_is_and_as_the_user_that_is_set():
    assert f"WORKDIR {WORKPLACE}\n" in DOCKERFILE
    assert f"USER {USER}:{USER}\n" in DOCKERFILE


@pytest.mark.parametrize("image", ["cpu", "gpu"])
def test_images_of_stages_have_the_kfp_that_the_pipeline_is_compiled_with(image):
    assert "pip wheel --no-deps --constraint constraints-kubeflow.txt --wheel-dir /kubeflow kfp\n" in DOCKERFILE
    (made,) = [part for part in DOCKERFILE.split("\nFROM ") if part.startswith(f"stages AS {image}\n")]
    assert "--no-index /wheels/*.whl /kubeflow/*.whl\n" in made
