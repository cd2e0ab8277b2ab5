import pytest
from kept_versions import dvc, git, keep, make_repository

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.lock import load_lock, md5_of
from pipeline_tasks.lineage.snapshot import snapshot_at, unpacked


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("snapshot") / "a repository"
    make_repository(root)
    git(root, "tag", "old")
    (root / "lineage.json").write_text("{}")
    dvc(root, "add", "--quiet", "lineage.json")
    keep(root, "two")
    return root


def test_a_commit_says_what_the_workspace_said_then(root):
    now = snapshot_at(root, "HEAD")
    assert now.lock.version == load_lock(root, load_catalog(root / "catalog.yaml")).version
    assert now.record == md5_of(root / "lineage.json") and now.revision == git(root, "rev-parse", "HEAD")
    then = snapshot_at(root, "old")
    assert then.record is None and then.lock.version != now.lock.version
    assert then.catalog.defects.keys() == {"plate-pit"}


def test_the_files_of_a_commit_are_unpacked_and_gone_afterwards(root):
    with unpacked(root, "old") as tree:
        assert (tree / "seed.txt").read_text() == "one" and not (tree / ".git").exists()
    assert not tree.exists()


def test_a_repository_below_another_one_has_its_own_files(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "other.txt").write_text("not ours")
    root = tmp_path / "below"
    revision = make_repository(root)
    git(root, "add", ".")
    assert snapshot_at(root, revision).revision == revision
    with unpacked(root, revision) as tree:
        assert sorted(path.name for path in tree.glob("*.txt")) == ["code.txt", "seed.txt"]


@pytest.mark.parametrize("revision", ["nowhere", "0" * 40, "--all", "", "old:seed.txt"])
def test_what_is_no_commit_is_named(root, revision):
    with pytest.raises(DataError, match=rf"git revision '{revision}': not in this repository \("):
        snapshot_at(root, revision)


def test_a_commit_without_a_version_is_named(tmp_path):
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "nothing")
    with pytest.raises(DataError, match=r"holds no version: .*catalog\.yaml.*name another one"):
        snapshot_at(tmp_path, "HEAD")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("catalog.yaml", "products: {}\n", r"catalog\.yaml of git revision [0-9a-f]{12}: products"),
        ("catalog.yaml", "a: [", "not YAML"),
        ("dvc.lock", "a: [", r"dvc\.lock of git revision .*: not a lock"),
        ("dvc.lock", "- 1\n", "not a lock"),
        ("dvc.lock", "schema: '2.0'\n", "not a lock"),
    ],
)
def test_files_that_are_damaged_are_named(root, name, text, told):
    kept = (root / name).read_text()
    (root / name).write_text(text)
    git(root, "commit", "--quiet", "--message", "damage", "--", name)
    try:
        with pytest.raises(DataError, match=told):
            snapshot_at(root, "HEAD")
    finally:
        (root / name).write_text(kept)
        git(root, "commit", "--quiet", "--message", "mend", "--", name)
