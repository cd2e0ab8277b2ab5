import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline_tasks.errors import ConfigError, TransientError
from pipeline_tasks.lineage import dvc_files
from pipeline_tasks.lineage.dvc_command import run_dvc
from pipeline_tasks.lineage.dvc_files import DvcFiles, repository_of
from pipeline_tasks.lineage.lock import md5_of

PATH = "data/pairs/plate/pit"
MD5 = "0123456789abcdef0123456789abcdef"
GIVEN = DvcFiles(PATH, "a" * 40, f"{MD5}.dir", "https://example.org/plates.git")


def git(*arguments):
    return subprocess.check_output(["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], text=True).strip()


def make(text):
    """Make and commit pairs that say `text`, and return them."""
    shutil.rmtree(PATH, ignore_errors=True)
    Path(PATH, "strength").mkdir(parents=True)
    for name in ("00000.parquet", "strength/00000.parquet"):
        Path(PATH, name).write_text(text)
    subprocess.run([sys.executable, "-m", "dvc", "add", "--quiet", PATH], check=True)
    git("add", ".")
    git("commit", "--quiet", "--message", text)
    return DvcFiles(PATH, git("rev-parse", "HEAD"), str(md5_of(Path(PATH))), repository_of(Path()))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A repository with two versions of pairs, both in its remote: a folder that its configuration names in full."""
    root = tmp_path_factory.mktemp("template") / "a repository"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        git("init", "--quiet")
        assert run_dvc(root, "init", "--quiet").returncode == 0
        assert run_dvc(root, "remote", "add", "--default", "shared", str(root.parent / "remote")).returncode == 0
        old, new = make("old"), make("new")
        assert run_dvc(root, "push", "--all-commits").returncode == 0
    return old, new


@pytest.fixture
def versions(template, tmp_path, monkeypatch):
    """The two versions, the older one first, of a throwaway copy of the repository; an empty folder is current."""
    source = Path(template[0].repository.removeprefix("file://").replace("%20", " "))
    root = shutil.copytree(source, tmp_path / "copy of a repository")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return [replace(version, repository=root.as_uri()) for version in template]


def root_of(files):
    return Path(files.repository.removeprefix("file://").replace("%20", " "))


def is_brought(files, folder, text):
    place = files.fetch(folder)
    assert place == folder / "pit"
    found = {file.relative_to(place).as_posix(): file.read_text() for file in place.rglob("*") if file.is_file()}
    assert list(folder.iterdir()) == [place], "and nothing is left beside it"
    return found == dict.fromkeys(["00000.parquet", "strength/00000.parquet"], text)


def test_both_versions_come_from_the_repository_that_is_named(versions, tmp_path):
    old, new = versions
    assert is_brought(old, tmp_path / "o", "old") and is_brought(new, tmp_path / "n", "new")
    assert (root_of(old) / PATH / "00000.parquet").read_text() == "new", "whose workspace is left alone"


def test_a_clone_that_holds_the_revision_comes_first(versions, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(root_of(versions[0])), str(clone))
    (clone / "a folder in it").mkdir()
    monkeypatch.chdir(clone / "a folder in it")
    gone = replace(versions[0], repository=(tmp_path / "gone").as_uri())
    assert is_brought(gone, tmp_path / "o", "old")


def test_a_clone_whose_remote_is_empty_is_followed_by_the_repository_that_is_named(versions, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(root_of(versions[0])), str(clone))
    monkeypatch.chdir(clone)
    assert run_dvc(clone, "remote", "modify", "shared", "url", str(tmp_path / "empty")).returncode == 0
    assert is_brought(versions[0], tmp_path / "o", "old")


def test_another_repository_that_is_current_is_not_asked(versions, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    git("init", "--quiet")
    assert run_dvc(other, "init", "--quiet").returncode == 0
    asked = []
    monkeypatch.setattr(
        dvc_files, "stored_objects", lambda root, cache: asked.append(root) or pytest.fail("asked for its objects")
    )
    with pytest.raises(pytest.fail.Exception):
        versions[0].fetch(tmp_path / "o")
    assert asked == [root_of(versions[0])]


def test_a_bare_repository_is_asked_by_dvc_itself(versions, tmp_path):
    git("clone", "--quiet", "--bare", str(root_of(versions[0])), str(tmp_path / "bare.git"))
    bare = replace(versions[0], repository=(tmp_path / "bare.git").as_uri())
    assert is_brought(bare, tmp_path / "o", "old")
    other = replace(versions[1], repository=bare.repository, revision=versions[0].revision)
    told = rf"{PATH}: DVC has nothing with the MD5 {other.md5} \(.*has another content there, {versions[0].md5}\)"
    with pytest.raises(TransientError, match=told):
        other.fetch(tmp_path / "n")
    assert list((tmp_path / "n").iterdir()) == []


def test_what_is_nowhere_is_named_by_its_digest_and_nothing_is_left(versions, tmp_path, monkeypatch):
    lost = replace(versions[0], md5=f"{MD5}.dir")
    monkeypatch.chdir(root_of(lost))
    with pytest.raises(TransientError, match=rf"{PATH}: DVC has nothing with the MD5 {lost.md5} .*no object") as caught:
        lost.fetch(tmp_path / "o")
    assert str(caught.value).count("no object") == 1, "one repository is asked once, or told of once"
    assert list((tmp_path / "o").iterdir()) == []


def test_a_repository_that_is_gone_is_named(versions, tmp_path):
    gone = replace(versions[0], repository=(tmp_path / "gone").as_uri())
    with pytest.raises(TransientError, match=rf"nothing with the MD5 {gone.md5} \(`dvc get {tmp_path}/gone` failed: "):
        gone.fetch(tmp_path / "o")


def test_files_that_are_there_are_not_fetched_again_nor_overwritten(versions, tmp_path, monkeypatch):
    place = versions[0].fetch(tmp_path / "o")
    monkeypatch.setattr(dvc_files, "stored_objects", lambda *_, **__: pytest.fail("fetched again"))
    assert versions[0].fetch(tmp_path / "o") == place
    with pytest.raises(ConfigError, match=rf"{place}: is there already, and not what {versions[1].md5} names"):
        versions[1].fetch(tmp_path / "o")
    assert (place / "00000.parquet").read_text() == "old"


def test_a_uri_reads_as_it_is_documented():
    query = f"rev={'a' * 40}&md5={MD5}.dir&repo=https://example.org/plates.git"
    assert GIVEN.uri == f"dvc://data/pairs/plate/pit?{query}"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda t: ".." not in t.split("/")))
def test_whatever_path_and_folder_there_are_come_back(text):
    files = DvcFiles(f"data/{text}", "", MD5, f"file:///{text}")
    assert DvcFiles.parse(files.uri) == files


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("dvc://", "s3://", "its path is 'data/pairs/plate/pit'"),
        ("data/pairs", "/data/pairs", "its path is '/data/pairs/plate/pit'"),
        ("data/pairs", "data/%2E%2E/..", "its path is 'data/../../plate/pit'"),
        ("data/pairs/plate/pit", "", "its path is ''"),
        ("a" * 40, "--upload-pack=x", "rev is '--upload-pack=x'"),
        (f"&md5={MD5}.dir", "", r"md5 is '(none)'"),
        (".dir", ".file", f"md5 is '{MD5}.file'"),
        ("https://", "ext::", "repo is 'ext::example.org/plates.git'"),
        ("https://example", "--out", "repo is '--out.org/plates.git'"),
    ],
)
def test_a_uri_that_names_nothing_is_refused_with_the_part_that_is_wrong(old, new, wrong):
    assert old in GIVEN.uri
    with pytest.raises(ConfigError) as caught:
        DvcFiles.parse(GIVEN.uri.replace(old, new))
    assert str(caught.value).endswith(f": {wrong}; write dvc://PATH?rev=COMMIT&md5=MD5&repo=REPOSITORY")


@pytest.mark.parametrize(
    ("origin", "named"),
    [
        ("https://me:secret@example.org/p.git", "https://example.org/p.git"),
        ("https://token@example.org:8443/p.git?private=secret", "https://example.org:8443/p.git"),
        ("ssh://git:secret@example.org:22/p.git", "ssh://git@example.org:22/p.git"),
        ("git@example.org:lab/p.git", "git@example.org:lab/p.git"),
        ("../plates.git", "file://{parent}/plates.git"),
        ("/srv/git/plates.git", "file:///srv/git/plates.git"),
        (None, "file://{parent}/own"),
    ],
)
def test_a_repository_is_named_so_that_others_find_it_and_without_secrets(tmp_path, monkeypatch, origin, named):
    root = tmp_path / "own"
    root.mkdir()
    monkeypatch.chdir(root)
    git("init", "--quiet")
    if origin:
        git("remote", "add", "origin", origin)
    assert repository_of(root) == named.format(parent=tmp_path.as_posix())
    assert yaml.safe_load(repository_of(root)) == repository_of(root)
