import numpy as np
import pytest
from rows import PLAIN, sample
from small_version import BASE, CATALOG, SmallVersion

from pipeline_tasks.audit import origins
from pipeline_tasks.audit.origins import Rules, origins_of
from pipeline_tasks.audit.tables import Tables
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.schema import Sample

RULES = Rules(3, 3, False)


@pytest.fixture
def version(tmp_path):
    return SmallVersion(tmp_path)


def found(version, folder):
    ground = version.ground()
    folder.mkdir()
    return origins_of(Tables(ground.lock, ground.objects, folder), CATALOG.defects["plate-pit"], RULES)


@pytest.mark.parametrize("kept_bytes", [1, 2**27])
def test_normal_images_are_those_of_the_base_set_however_few_are_kept(version, tmp_path, monkeypatch, kept_bytes):
    monkeypatch.setattr(origins, "KEPT", 1)
    monkeypatch.setattr(origins, "KEPT_BYTES", kept_bytes)
    normals = [sample("good", number, pixels=PLAIN + np.uint8(number)) for number in range(4)]
    version.tables[f"{BASE}/good.parquet"] = Sample, normals
    pixels_of = found(version, tmp_path / "scratch").pixels_of
    for _ in range(2):
        for number, normal in enumerate(normals):
            assert (pixels_of(normal.source_path) == 120 + number).all()
    assert pixels_of.cache_info().misses == (8 if kept_bytes == 1 else 4)


def test_no_pictures_of_masks_are_kept(version, tmp_path):
    masks = found(version, tmp_path / "scratch").masks
    assert sorted(masks) == [0, 1, 2, 3, 4]
    assert not any(isinstance(value, bytes) for row in masks.values() for value in row.values())


def test_rules_are_those_of_the_versions_parameters():
    params = {"masks": {"pairs_per_defect": 5}, "generate": {"dilation_px": 2}, "backend": {"name": "inpainting"}}
    assert Rules.of(params) == Rules(5, 2, False)
    for mode in ("given", "free"):
        own = {"generate": {"dilation_px": 2, "dit": {"mode": mode}}, "backend": {"name": "dit"}}
        assert Rules.of(params | own).whole == (mode == "free")
    for lacking in ("masks", "generate", "backend"):
        with pytest.raises(ConfigError, match=r"generate\.dilation_px"):
            Rules.of({name: values for name, values in params.items() if name != lacking})
