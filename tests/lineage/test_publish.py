import shutil
import subprocess
import sys
from types import ModuleType

import pytest

from pipeline_tasks.catalog import load_catalog
from pipeline_tasks.commands.publish import publish
from pipeline_tasks.errors import DataError, PublicationError
from pipeline_tasks.lineage import record
from pipeline_tasks.lineage.dvc_command import run_dvc
from pipeline_tasks.lineage.lock import load_lock, md5_of
from pipeline_tasks.lineage.publish import check_complete, commit_lock, push_data, tag_version, uncommitted_code
from pipeline_tasks.lineage.releases import Release, releases

pytestmark = pytest.mark.usefixtures("without_git_identity")


def git(*arguments):
    return subprocess.check_output(["git", *arguments], text=True).strip()


def commits():
    return int(git("rev-list", "--count", "HEAD"))


@pytest.fixture
def registered(monkeypatch):
    """Stands in for the registration, its list grows by one per call; the tiny pipeline makes no samples to record."""
    calls = []
    monkeypatch.setattr(record, "record_of", lambda lock, _: {"format": 1, "version": lock.version})
    module = ModuleType("pipeline_tasks.commands.register")
    module.register = lambda: calls.append(git("rev-parse", "HEAD"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


def test_stages_that_are_out_of_date_are_named(refreshed):
    check_complete(refreshed)
    shutil.rmtree(refreshed / "data" / "pairs" / "plate" / "dent")
    with pytest.raises(PublicationError, match=r"2 of the stages .*\(generate@plate-dent, validate@plate\)"):
        check_complete(refreshed)


def test_a_stage_that_never_ran_is_out_of_date(tiny_pipeline):
    with pytest.raises(PublicationError, match=r"4 of the stages .*ingest@plate"):
        check_complete(tiny_pipeline)


def test_only_lock_catalog_and_parameters_are_committed_and_only_once(refreshed):
    (refreshed / "stage.sh").write_text((refreshed / "stage.sh").read_text() + "# edited\n")
    (refreshed / "new.txt").write_text("staged by a person")
    git("add", "new.txt")
    assert "committed dvc.lock, catalog.yaml and params.yaml as" in commit_lock(refreshed)
    assert git("show", "--format=%an %ae", "--name-only").split() == ["defectline", "defectline@localhost", "dvc.lock"]
    assert git("status", "--porcelain").splitlines() == ["A  new.txt", " M stage.sh"]
    assert commit_lock(refreshed) == "dvc.lock, catalog.yaml and params.yaml: committed already"
    assert commits() == 2


def test_the_parameters_that_a_profile_set_are_committed_with_their_lock(refreshed):
    params = refreshed / "params.yaml"
    params.write_text(params.read_text() + "# changed\n")
    commit_lock(refreshed)
    assert git("show", "--format=", "--name-only").split() == ["dvc.lock", "params.yaml"]


def test_stored_splits_are_committed_with_their_lock(refreshed):
    (refreshed / "splits").mkdir()
    assert "committed dvc.lock, catalog.yaml and params.yaml as" in commit_lock(refreshed), "an empty folder is nothing"
    (refreshed / "splits" / "plate.csv").write_text("a split")
    assert "committed dvc.lock, catalog.yaml, params.yaml and splits as" in commit_lock(refreshed)
    assert git("show", "--format=", "--name-only").split() == ["splits/plate.csv"]


def test_a_person_who_is_known_to_git_commits_under_their_name(refreshed):
    git("config", "user.email", "ann@example.org")
    git("config", "user.name", "Ann")
    commit_lock(refreshed)
    assert git("show", "--no-patch", "--format=%an <%ae>") == "Ann <ann@example.org>"


def test_without_git_the_lock_stays_uncommitted(refreshed):
    shutil.rmtree(refreshed / ".git")
    assert "not a git repository" in commit_lock(refreshed)


def test_a_refusal_of_git_is_passed_on(refreshed):
    (refreshed / ".git" / "index.lock").touch()
    with pytest.raises(PublicationError, match=r"index\.lock"):
        commit_lock(refreshed)


def test_the_pushed_data_and_run_cache_make_a_clone_whole(refreshed):
    push_data(refreshed)
    for lost in (refreshed / "data", refreshed / ".dvc" / "cache"):
        shutil.rmtree(lost)
    assert run_dvc(refreshed, "pull", "--run-cache").returncode == 0
    check_complete(refreshed)


def test_a_remote_that_cannot_be_written_is_named(refreshed):
    (refreshed / ".remote").write_text("in the way of the folder")
    with pytest.raises(PublicationError, match=r"`dvc push` failed: .*\.remote"):
        push_data(refreshed)
    assert run_dvc(refreshed, "remote", "remove", "local").returncode == 0
    with pytest.raises(PublicationError, match="no remote"):
        push_data(refreshed)


def published(root):
    """Return the release that the workspace is, as it should be."""
    version, digest = load_lock(root, load_catalog()).version, md5_of(root / "lineage.json")
    return Release(1, git("rev-parse", "HEAD"), version, digest)


def test_publication_in_order_and_twice(refreshed, registered):
    publish()
    assert registered == [git("rev-parse", "HEAD")], "registered after the commit"
    assert git("show", "--format=", "--name-only").split() == ["dvc.lock", "lineage.json.dvc"]
    assert releases(refreshed) == [published(refreshed)]
    digest = releases(refreshed)[0].record
    pushed = refreshed / ".remote/files/md5" / digest[:2] / digest[2:]
    assert pushed.read_bytes() == (refreshed / "lineage.json").read_bytes()
    publish()
    assert (commits(), len(registered), len(releases(refreshed))) == (2, 2, 1)


def test_another_version_is_the_next_release_and_one_that_returns_is_what_it_was(refreshed, registered):
    sample, lock = refreshed / "raw/plate/1.txt", refreshed / "dvc.lock"
    publish()
    first = lock.read_text()
    sample.write_text("another sample")
    assert run_dvc(refreshed, "repro").returncode == 0
    publish()
    assert [release.number for release in releases(refreshed)] == [1, 2]
    sample.write_text("a sample")
    assert run_dvc(refreshed, "repro").returncode == 0
    assert lock.read_text() == first
    publish()
    assert [release.number for release in releases(refreshed)] == [1, 2]
    assert git("rev-parse", "dataset-1^{commit}") == git("rev-parse", "HEAD~2")


def test_code_that_is_not_in_git_is_warned_of(refreshed):
    assert uncommitted_code(refreshed) == ""
    (refreshed / "pipeline_tasks").mkdir()
    (refreshed / "pipeline_tasks" / "stage.py").write_text("tried out")
    (refreshed / "dvc.yaml").write_text((refreshed / "dvc.yaml").read_text() + "# edited\n")
    told = uncommitted_code(refreshed)
    assert told.startswith("warning: not in git as they ran: dvc.yaml, pipeline_tasks/; an audit will miss this code")


def test_a_clone_without_the_tags_of_its_origin_does_not_guess_a_number(refreshed, registered, tmp_path):
    publish()
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--no-tags", str(refreshed), str(clone))
    with pytest.raises(PublicationError, match=r"the origin has releases, this clone has none; `git fetch --tags`"):
        tag_version(clone, "0123456789ab", "0" * 32)


def test_a_tag_needs_a_version(refreshed):
    with pytest.raises(DataError, match="not what DVC makes"):
        tag_version(refreshed, "", "0" * 32)


@pytest.mark.parametrize("step", ["write_record", "commit_lock", "tag_version", "push_data", "register"])
def test_a_crash_between_two_steps_is_completed_by_the_next_run(refreshed, registered, monkeypatch, step):
    rooms = {"register": "pipeline_tasks.commands.register", "write_record": "pipeline_tasks.lineage.record"}
    module = sys.modules[rooms.get(step, "pipeline_tasks.lineage.publish")]

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, step, crash)
        publish()
    assert registered == []
    publish()
    assert (commits(), len(registered), releases(refreshed)) == (2, 1, [published(refreshed)])
    assert run_dvc(refreshed, "status", "--cloud").stdout.strip().endswith("in sync.")


def test_an_incomplete_refresh_publishes_nothing(tiny_pipeline, registered):
    with pytest.raises(PublicationError):
        publish()
    assert (commits(), registered) == (1, [])
    assert not (tiny_pipeline / ".remote").exists()


def test_committing_can_be_switched_off(refreshed, registered, capsys):
    params = refreshed / "params.yaml"
    params.write_text(params.read_text().replace("git_commit: true", "git_commit: false"))
    publish()
    assert (commits(), len(registered), releases(refreshed)) == (1, 1, [])
    assert "switched off" in capsys.readouterr().out
    assert (refreshed / "lineage.json.dvc").is_file(), "for those who commit it elsewhere"
