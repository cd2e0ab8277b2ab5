import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.errors import DataError, TransientError
from pipeline_tasks.lineage import earlier_pairs
from pipeline_tasks.lineage.dvc_command import run_dvc
from pipeline_tasks.lineage.earlier_pairs import Made, Origin, pairs_of
from pipeline_tasks.lineage.lock import load_lock

REPOSITORY = Path(__file__).parents[2]
SHELL = "mkdir -p $(dirname {0}) && cp seed.txt {0}"
STAGES = {
    "masks": (SHELL.format("data/masks/plate/${item}.parquet"), "data/masks/plate/${item}.parquet"),
    "generate": (SHELL.format("data/pairs/plate/${item}/00000.parquet"), "data/pairs/plate/${item}"),
}
KEYS = {"plate-pit": "pit"}


def git(*arguments):
    return subprocess.check_output(["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], text=True).strip()


def make(text):
    """Let every stage make files that say `text`; return the version and its revision."""
    Path("seed.txt").write_text(text)
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], check=True)
    git("add", ".")
    git("commit", "--quiet", "--message", text)
    return Origin(present().version, git("rev-parse", "HEAD"))


def present():
    return load_lock(Path(), load_catalog())


def text_of(made):
    files = [*sorted(made.pairs.glob("*/*")), *sorted(made.masks.glob("*"))]
    places = [made.pairs / "pit/00000.parquet", made.masks / "pit.parquet"]
    assert files == places
    (text,) = {file.read_text() for file in files}
    return text


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A repository with two versions of a product's masks and pairs; the second is that of the workspace."""
    root = tmp_path_factory.mktemp("template") / "a repository"
    (root / ".dvc").mkdir(parents=True)
    for name in ("config", ".gitignore"):
        shutil.copy(REPOSITORY / ".dvc" / name, root / ".dvc")
    stages = {
        name: {"foreach": KEYS, "do": {"cmd": command, "deps": ["seed.txt"], "outs": [out]}}
        for name, (command, out) in STAGES.items()
    }
    item = {"product": "plate", "source": "plate", "generator": "plate", "prompts": "data/prompts"}
    defects = {key: item | {"defect": defect} for key, defect in KEYS.items()}
    products, generators = {"plate": {"path": "raw", "layout": "mvtec"}}, {"plate": {"base": "b", "prompts": "p"}}
    catalog = {"products": products, "generators": generators, "defects": defects}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (root / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    (root / ".gitignore").write_text("/data/\n/.remote/\n/.work/\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        git("init", "--quiet")
        versions = [make("old"), make("new")]
        assert run_dvc(root, "push", "--all-commits").returncode == 0
    return root, versions


@pytest.fixture
def versions(template, tmp_path, monkeypatch):
    """The two versions, oldest first, of a throwaway copy of the repository, which is the current directory."""
    root, found = template
    monkeypatch.chdir(shutil.copytree(root, tmp_path / "a repository"))
    return found


@pytest.fixture
def unfetched(monkeypatch):
    """Fails where something is fetched."""
    monkeypatch.setattr(earlier_pairs, "stored_objects", lambda *_, **__: pytest.fail("fetched"))


FOLDER = Path(".work/versions/plate/old")


def test_the_present_version_is_read_where_it_is(versions, unfetched):
    made = pairs_of(versions[1], present(), "plate", FOLDER)
    assert made == Made(Path("data/pairs/plate"), Path("data/masks/plate"))
    assert text_of(made) == "new"


def test_so_is_one_whose_pairs_are_still_the_present_ones(versions, unfetched):
    lock = yaml.safe_load(Path("dvc.lock").read_text())
    lock["stages"]["ingest@plate"] = {"cmd": "another stage, which has changed since"}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    assert present().version != versions[1].version
    assert pairs_of(versions[1], present(), "plate", FOLDER).pairs == Path("data/pairs/plate")


def test_an_earlier_version_comes_from_the_cache_once_unless_it_is_damaged(versions, monkeypatch):
    made = pairs_of(versions[0], present(), "plate", FOLDER)
    assert made == Made(FOLDER / "pairs", FOLDER / "masks")
    assert text_of(made) == "old"
    assert text_of(Made(Path("data/pairs/plate"), Path("data/masks/plate"))) == "new", "the workspace is left alone"
    monkeypatch.setattr(earlier_pairs, "stored_objects", lambda *_, **__: pytest.fail("fetched again"))
    assert pairs_of(versions[0], present(), "plate", FOLDER) == made
    (made.masks / "pit.parquet").unlink()
    with pytest.raises(pytest.fail.Exception, match="fetched again"):
        pairs_of(versions[0], present(), "plate", FOLDER)


def test_without_cache_and_workspace_it_comes_from_the_remote(versions):
    for lost in ("data", ".dvc/cache"):
        shutil.rmtree(lost)
    assert text_of(pairs_of(versions[1], present(), "plate", FOLDER)) == "new"


def test_what_neither_cache_nor_remote_has_is_named_and_nothing_is_left(versions):
    for lost in (".dvc/cache", ".remote"):
        shutil.rmtree(lost)
    told = rf"data/pairs/plate/pit of version {versions[0].version}: DVC's cache and DVC remote 'local': no object"
    with pytest.raises(TransientError, match=f"{told}.*bring DVC's cache or remote back, or make another version"):
        pairs_of(versions[0], present(), "plate", FOLDER)
    assert list(FOLDER.parent.iterdir()) == []


@pytest.mark.parametrize("revision", ["", "0123456789012345678901234567890123456789"])
def test_a_revision_that_is_gone_is_named(versions, revision):
    told = rf"version {versions[0].version}: git revision '({revision}|\(none\))': not in this repository"
    with pytest.raises(DataError, match=told):
        pairs_of(Origin(versions[0].version, revision), present(), "plate", FOLDER)


def test_a_lock_that_was_not_committed_is_told_from_the_one_that_was(versions):
    told = rf"keeps the dvc\.lock of another version, {versions[0].version}.*register\.git_commit"
    with pytest.raises(DataError, match=told):
        pairs_of(Origin("0123456789ab", versions[0].revision), present(), "plate", FOLDER)


def test_a_product_without_pairs_in_that_version_is_named(versions):
    with pytest.raises(DataError, match=r"its dvc\.lock names no pairs of 'tile'; make another version the champion"):
        pairs_of(versions[0], present(), "tile", FOLDER)
