"""Whole audits of a published version: as it is, and with one thing in its chain tampered with."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from kept_versions import dvc, git
from tiny_project import call

from pipeline_tasks.audit.chain import Audit
from pipeline_tasks.audit.walk import Means, Subject, audit
from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.lineage.lock import load_lock, md5_of
from pipeline_tasks.lineage.objects import stored_objects
from pipeline_tasks.lineage.releases import tag_message
from pipeline_tasks.lineage.snapshot import snapshot_at
from pipeline_tasks.provenance import sealed
from pipeline_tasks.schema import Pair
from pipeline_tasks.storage import read_rows, write_rows
from pipeline_tasks.tracking.models import Models
from pipeline_tasks.tracking.store import client_of

PIT = "data/pairs/plate/pit"


def audited(root, *, models="none is known here", remake=0, wanted="dataset-1") -> Audit:
    with stored_objects(root, cache=False) as objects:
        subject = Subject("1", snapshot_at(root, wanted))
        return audit(subject, Means(root, objects, models, remake, False, lambda _: None))


def faults(root, **options):
    return {link.name: link.found for link in audited(root, **options).broken}


def lock_of(root):
    return load_lock(root, load_catalog(root / "catalog.yaml"))


def shard(root, number=0):
    with stored_objects(root, cache=False) as objects:
        return objects.files(lock_of(root).output("generate@plate-pit").md5)[f"{number:05d}.parquet"]


def test_git_and_the_remote_are_enough_to_verify_every_link_and_make_pairs_again(clean_clone):
    found = audited(clean_clone, remake=2)
    unchecked = {link.name for link in found.links if link.verdict == "unchecked"}
    assert (found.broken, unchecked) == ([], {"MLflow", "raw samples of plate"})
    assert (found.number, found.version) == (1, lock_of(clean_clone).version)
    made_again = [link.found for link in found.links if link.name.endswith("made again")]
    assert made_again == ["the same in every column, image and mask byte for byte"] * 2
    stages = {link.name.removeprefix("stage ") for link in found.links if link.name.startswith("stage ")}
    assert stages == set(lock_of(clean_clone).stages)
    assert len(found.samples["plate"]) == 21 and json.loads(json.dumps(found.to_json()))["intact"]
    assert git(clean_clone, "status", "--porcelain") == "" and not Path(".mlflow").exists(), "an audit leaves no trace"
    assert not Path("data").exists() and not Path(".dvc/cache").exists()


def test_a_tampered_shard_is_named(clean_clone, stored):
    place = stored(shard(clean_clone))
    place.write_bytes(place.read_bytes()[:-1] + b"X")
    told = faults(clean_clone)
    places = [f"objects of {place}" for place in ("data/parts/plate/pit/1", PIT)]  # DVC keeps the shard of both once
    assert list(told) == places and all(fault.startswith("00000.parquet: ") for fault in told.values())


def test_a_missing_object_is_named(clean_clone, stored):
    model = lock_of(clean_clone).output("train@plate").md5
    with stored_objects(clean_clone, cache=False) as objects:
        weights = objects.files(model)["diffusion_pytorch_model.safetensors"]
    stored(weights).unlink()
    told = faults(clean_clone, remake=1)
    assert list(told) == ["objects of data/models/plate"]
    assert told["objects of data/models/plate"].startswith("diffusion_pytorch_model.safetensors: DVC remote 'local':")


def test_a_swapped_model_is_named(clean_clone, stored):
    with stored_objects(clean_clone, cache=False) as objects:
        files = objects.files(lock_of(clean_clone).output("train@plate").md5)
    weights = stored(files["diffusion_pytorch_model.safetensors"])
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "is damaged" in faults(clean_clone)["objects of data/models/plate"]


@pytest.fixture
def forge(clean_clone, published):
    """Edits the first pair of the clone, and makes DVC and git believe that it was so from the beginning."""
    shutil.copytree(published / "data/raw", clean_clone / "data/raw")
    return partial(forge_pair, clean_clone)


def forge_pair(root, change):
    dvc(root, "pull")
    table = root / PIT / "00000.parquet"
    first, *others = read_rows(table, Pair)
    (root / PIT).chmod(0o755)
    write_rows(table, [change(first), *others], Pair)
    dvc(root, "commit", "--force")
    dvc(root, "push")
    git(root, "commit", "--quiet", "--all", "--message", "Refresh the dataset")
    record = md5_of(root / "lineage.json")
    message = tag_message(lock_of(root).version, record)
    git(root, "tag", "--force", "--annotate", "dataset-1", "--message", message)


def test_an_edited_row_is_named_although_every_digest_was_made_to_fit(clean_clone, forge):
    forge(lambda pair: replace(pair, alignment=0.999))
    told = faults(clean_clone)
    assert "pair plate/pit/000000: edited since it was made" in told["rows of plate/pit"]
    assert "what lineage.json was written of: digest differ" in told["rows of plate/pit"], "its seal was left"
    assert "lineage.json" in told and "stage validate@plate" not in told


def test_a_row_with_another_origin_is_named_although_its_seal_was_made_to_fit(clean_clone, forge):
    forge(lambda pair: sealed(replace(pair, parent_a="test/pit/004.png", seed=7)))
    told = faults(clean_clone)["rows of plate/pit"]
    assert "pair plate/pit/000000: seed is 7, and its mask's seed gives attempt 1 the seed " in told
    assert "parent_a is 'test/pit/004.png', in the masks table 'test/pit/000.png'" in told
    assert "they are not what lineage.json was written of: digest, rows_sha256, parents differ" in told


def test_a_score_that_was_forged_throughout_does_not_come_out_again(clean_clone, forge):
    forge(lambda pair: sealed(replace(pair, alignment=0.999)))
    told = faults(clean_clone, remake=9)
    assert told["pair plate/pit/000000 made again"] == "other than before: alignment, row_sha256"
    assert sum(name.endswith("made again") for name in told) == 1


@pytest.fixture
def models(beside_mlflow, published):
    uri = f"sqlite:///{published / '.mlflow/mlflow.db'}"
    with client_of(uri) as client:
        yield Models(client, uri)


def test_what_mlflow_registered_of_the_version_is_verified(beside_mlflow, models):
    found = [link for link in audited(beside_mlflow, models=models).links if link.name.startswith("defectline-")]
    assert {link.verdict for link in found} == {"ok"}
    begins = {link.name.partition(" version")[0] for link in found}
    assert begins == {f"defectline-plate-{kind}" for kind in ("dataset", "generator", "unet")}


@pytest.mark.parametrize("kind", ["dataset", "generator", "unet"])
def test_a_registered_model_whose_files_were_swapped_is_named(beside_mlflow, published, models, kind):
    (version,) = models.versions(f"defectline-plate-{kind}")
    (place,) = published.rglob(f"{version.model_id}/artifacts")
    file = max((file for file in place.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    kept = file.read_bytes()
    file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    try:
        told = faults(beside_mlflow, models=models)
    finally:
        file.write_bytes(kept)
    assert list(told) == [f"defectline-plate-{kind} version 1: files"]


def test_a_tag_that_was_moved_is_told_by_mlflow(beside_mlflow, models):
    kept = snapshot_at(beside_mlflow, "dataset-1")
    git(beside_mlflow, "commit", "--quiet", "--allow-empty", "--message", "a copy of the version")
    message = tag_message(kept.lock.version, kept.record)
    git(beside_mlflow, "tag", "--force", "--annotate", "dataset-1", "--message", message)
    told = faults(beside_mlflow, models=models)
    assert list(told) == ["defectline-plate-dataset version 1: git revision"]
    assert told["defectline-plate-dataset version 1: git revision"].endswith("the tag was rewritten")


def test_raw_samples_that_are_there_are_verified(clean_clone, published):
    shutil.copytree(published / "data/raw", clean_clone / "data/raw")
    (link,) = [one for one in audited(clean_clone).links if one.name == "raw samples of plate"]
    assert link.verdict == "ok" and link.found.startswith("all 21 files")


def test_the_command_prints_writes_a_page_and_fails_where_a_link_is_broken(clean_clone, stored, defectline_here):
    done = defectline_here("audit", "--regenerate", "0")
    assert done.status == 0 and "reports/audits/" in done.out
    stored(shard(clean_clone, 1)).unlink()
    done = defectline_here("audit", "1", "--json", "--regenerate", "0")
    assert done.status == 1 and f"broken: objects of {PIT} (see reports/audits/" in done.err
    (told,) = json.loads(done.out)
    assert not told["intact"] and told["version"] == lock_of(clean_clone).version
    page = Path(f"reports/audits/{told['version']}.html").read_text()
    assert f"objects of {PIT}" in page
    assert call(clean_clone, "git", "status", "--porcelain") == ""
