import shutil

import pytest
from kept_versions import make_repository

from pipeline_tasks.audit.object_links import object_links, outputs_of
from pipeline_tasks.lineage.lock import Lock
from pipeline_tasks.lineage.objects import stored_objects
from pipeline_tasks.lineage.snapshot import snapshot_at


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("object links") / "a repository"
    make_repository(root)
    return root


@pytest.fixture
def root(template, tmp_path):
    """A throwaway copy of a repository with a version."""
    return shutil.copytree(template, tmp_path / "a repository")


def links(root):
    with stored_objects(root, cache=False) as objects:
        return {link.name: link for link in object_links(objects, outputs_of(snapshot_at(root, "HEAD").lock))}


def stored(root, output, name="."):
    with stored_objects(root, cache=False) as objects:
        md5 = objects.files(snapshot_at(root, "HEAD").lock.output(output).md5)[name]
    place = root / ".remote/files/md5" / md5[:2] / md5[2:]
    place.chmod(0o644)
    return place


def test_every_byte_of_a_whole_remote_is_verified(root):
    found = links(root)
    assert {link.verdict for link in found.values()} == {"ok"}
    told = "2 files, 0.0 MB, every digest verified in DVC remote 'local'"
    assert found["objects of data/pairs/plate/pit"].found == told


def test_a_tampered_file_is_named_in_every_output_that_holds_it(root):
    stored(root, "generate@plate-pit", "more/1").write_text("tampered")
    found = links(root)
    assert {name for name, link in found.items() if link.verdict == "broken"} == {
        "objects of data/pairs/plate/pit",
        "objects of data/checked.txt",
    }, "the other output is a copy of the same bytes"
    assert found["objects of data/pairs/plate/pit"].found.startswith("more/1: DVC remote 'local': the object ")


def test_a_missing_file_and_a_missing_list_are_told_apart(root):
    stored(root, "masks@plate-pit").unlink()
    found = links(root)
    assert found["objects of data/masks/plate/pit.parquet"].found.startswith(".: DVC remote 'local': no object ")
    md5 = snapshot_at(root, "HEAD").lock.output("generate@plate-pit").md5
    (root / ".remote/files/md5" / md5[:2] / md5[2:]).unlink()
    told = links(root)["objects of data/pairs/plate/pit"].found
    assert told == f"its list of files: DVC remote 'local': no object {md5}"


def test_what_git_keeps_is_not_looked_for_in_the_remote(tmp_path):
    outs = [{"path": "splits/plate.csv", "md5": "0" * 32}, {"path": "data/base/plate", "md5": "1" * 32 + ".dir"}]
    assert outputs_of(Lock(tmp_path, {"ingest@plate": {"outs": outs}})).keys() == {"data/base/plate"}
