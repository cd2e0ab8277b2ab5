import hashlib
import json
import shutil

import pytest
from kept_versions import dvc, make_repository

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.errors import DataError, TransientError
from pipeline_tasks.lineage.lock import Output, load_lock, md5_of
from pipeline_tasks.lineage.objects import DamagedObjectError, MissingObjectError, stored_objects


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("objects") / "a repository"
    make_repository(root)
    return root


@pytest.fixture
def lock(template, tmp_path, monkeypatch):
    """The lock of a throwaway copy of the repository, which is the current directory."""
    monkeypatch.chdir(shutil.copytree(template, tmp_path / "a repository"))
    root = tmp_path / "a repository"
    return load_lock(root, load_catalog())


def object_of(lock, md5):
    return lock.root / ".remote/files/md5" / md5[:2] / md5[2:]


@pytest.mark.parametrize("cache", [True, False])
def test_files_and_folders_are_fetched_byte_for_byte(lock, tmp_path, cache):
    pairs, masks = lock.output("generate@plate-pit"), lock.output("masks@plate-pit")
    with stored_objects(lock.root, cache) as objects:
        assert objects.files(masks.md5) == {".": masks.md5}
        assert objects.files(pairs.md5).keys() == {"0", "more/1"}
        for output in (pairs, masks):
            objects.fetch(output, tmp_path / "fetched" / output.path)
            assert md5_of(tmp_path / "fetched" / output.path) == output.md5


def test_the_cache_stands_in_for_the_remote_only_where_it_may(lock):
    masks = lock.output("masks@plate-pit")
    shutil.rmtree(lock.root / ".remote")
    with stored_objects(lock.root, cache=True) as objects:
        assert b"".join(objects.chunks(masks.md5)) == b"one"
    with (
        stored_objects(lock.root, cache=False) as objects,
        pytest.raises(MissingObjectError, match=rf"DVC remote 'local': no object {masks.md5}"),
    ):
        list(objects.chunks(masks.md5))


def test_a_damaged_object_is_named_and_left_as_it_is(lock, tmp_path):
    masks = lock.output("masks@plate-pit")
    damaged = object_of(lock, masks.md5)
    damaged.chmod(0o644)
    damaged.write_text("another")
    told = rf"the object {masks.md5} is damaged, its MD5 is [0-9a-f]+$"
    with stored_objects(lock.root, cache=False) as objects, pytest.raises(DamagedObjectError, match=told):
        objects.fetch(masks, tmp_path / "fetched")
    assert damaged.read_text() == "another", "an audit destroys no evidence"
    assert not (tmp_path / "fetched").exists()


def test_what_is_damaged_in_the_cache_is_fetched_from_the_remote(lock, tmp_path):
    masks = lock.output("masks@plate-pit")
    damaged = lock.root / ".dvc/cache/files/md5" / masks.md5[:2] / masks.md5[2:]
    damaged.chmod(0o644)
    damaged.write_text("another")
    with stored_objects(lock.root, cache=True) as objects:
        objects.fetch(masks, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_text() == "one"


@pytest.mark.parametrize(
    "listing", [b"no JSON", b'[{"path": 1}]', b"7", b'[{"md5": "../../secret", "relpath": "x"}]', b'[{"md5": 1}]']
)
def test_what_is_no_list_of_files_is_damaged(lock, listing):
    digest = hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
    place = object_of(lock, digest)
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(listing)
    with stored_objects(lock.root, cache=False) as objects, pytest.raises(DamagedObjectError, match="no list of files"):
        objects.files(digest)


def test_a_list_of_files_cannot_reach_out_of_its_folder(lock, tmp_path):
    md5 = lock.output("masks@plate-pit").md5
    listing = json.dumps([{"md5": md5, "relpath": "../escaped"}]).encode()
    digest = hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
    object_of(lock, digest).parent.mkdir(exist_ok=True)
    object_of(lock, digest).write_bytes(listing)
    told = r"lists '\.\./escaped', outside its folder"
    with stored_objects(lock.root, cache=False) as objects, pytest.raises(DamagedObjectError, match=told):
        objects.fetch(Output(lock.root, digest), tmp_path / "fetched")
    assert not (tmp_path / "escaped").exists()


def test_a_remote_that_cannot_be_read_may_be_back_later(lock):
    md5 = lock.output("masks@plate-pit").md5
    place = object_of(lock, md5)
    place.chmod(0o644)
    place.unlink()
    place.mkdir()
    with stored_objects(lock.root, cache=False) as objects, pytest.raises(TransientError, match="cannot be read"):
        list(objects.chunks(md5))


def test_without_a_remote_an_audit_says_so_and_the_cache_is_enough_for_others(lock):
    dvc(lock.root, "remote", "remove", "local")
    with pytest.raises(DataError, match="no remote"), stored_objects(lock.root, cache=False):
        pass
    with stored_objects(lock.root, cache=True) as objects:
        assert objects.name == "DVC's cache"
