import shutil

import pytest
from kept_versions import git, make_repository, publish

from pipeline_tasks.audit.git_links import git_links
from pipeline_tasks.lineage.objects import stored_objects
from pipeline_tasks.lineage.releases import tag_message
from pipeline_tasks.lineage.snapshot import snapshot_at
from pipeline_tasks.lineage.versions import find_revision


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("git links") / "a repository"
    make_repository(root)
    return root, [publish(root, text) for text in ("first", "second", "third")]


@pytest.fixture
def published(template, tmp_path):
    """A throwaway copy of a repository with three releases, and these."""
    root, found = template
    return shutil.copytree(root, tmp_path / "a repository"), found


def links(root, wanted):
    with stored_objects(root, cache=False) as objects:
        return {link.name: link for link in git_links(root, snapshot_at(root, find_revision(root, wanted)), objects)}


def faults(root, wanted):
    return {name: link.found for name, link in links(root, wanted).items() if link.verdict == "broken"}


def move(root, tag, revision, message):
    git(root, "tag", "--force", "--annotate", tag, "--message", message, revision)


@pytest.mark.parametrize("wanted", ["1", "2", "3"])
def test_releases_that_nobody_touched_hold(published, wanted):
    root, _ = published
    found = links(root, wanted)
    assert {link.verdict for link in found.values()} == {"ok"}
    named = [f"the release before dataset-{number}" for number in (2, 3) if number >= int(wanted)]
    assert [name for name in found if name.startswith("the release")] == named


def test_a_tag_at_the_commit_of_another_version_is_rewritten(published):
    root, (_, second, third) = published
    move(root, "dataset-2", third.revision, tag_message(second.version, second.record))
    told = f"rewritten: it names version {second.version}, but the dvc.lock at {third.revision[:12]} is of version"
    assert faults(root, "2")["git tag dataset-2"] == f"{told} {third.version}"
    assert "git tag dataset-2" in faults(root, "3"), "also for whoever asks for the other one"


def test_a_tag_that_was_moved_with_a_fitting_message_is_told_by_the_release_after_it(published):
    root, (first, _, _) = published
    move(root, "dataset-2", first.revision, tag_message(first.version, first.record))
    told = faults(root, "3")
    assert list(told) == ["the release before dataset-3"]
    assert "tag dataset-2 was rewritten" in told["the release before dataset-3"]
    assert "the release before dataset-3" in faults(root, "1")


def test_a_tag_that_is_gone_is_missed_by_the_release_after_it(published):
    root, _ = published
    git(root, "tag", "--delete", "dataset-2")
    assert faults(root, "3") == {"the release before dataset-3": "tag dataset-2 is gone"}


@pytest.mark.parametrize("kind", [[], ["--annotate", "--message", "made by hand"]])
def test_a_tag_that_publishing_did_not_make_is_named(published, kind):
    root, (_, _, third) = published
    git(root, "tag", "--force", *kind, "dataset-3", third.revision)
    told = faults(root, "3")["git tag dataset-3"]
    assert told == f"it stands at {third.revision[:12]}, but not as `defectline publish` made it"


def test_a_tag_that_names_another_lineage_json_is_rewritten(published):
    root, (_, _, third) = published
    move(root, "dataset-3", third.revision, tag_message(third.version, "0" * 32))
    assert faults(root, "3")["git tag dataset-3"].startswith(f"rewritten: it names the lineage.json {'0' * 32}")


def test_a_commit_that_no_branch_leads_to_is_named(published):
    root, (_, _, third) = published
    tree = git(root, "rev-parse", f"{third.revision}^{{tree}}")
    forged = git(root, "commit-tree", tree, "-m", "forged")
    move(root, "dataset-3", forged, tag_message(third.version, third.record))
    assert "no branch leads to it" in faults(root, "3")[f"git commit {forged[:12]}"]


def test_a_commit_on_another_branch_is_in_its_history(published):
    root, (first, _, third) = published
    git(root, "checkout", "--quiet", first.revision)
    found = links(root, "3")[f"git commit {third.revision[:12]}"]
    assert (found.verdict, found.found) == ("ok", "it is in the history of master")


def test_what_was_not_published_is_unchecked_not_broken(published):
    root, _ = published
    git(root, "tag", "--delete", "dataset-1", "dataset-2", "dataset-3")
    found = links(root, "HEAD")
    assert [link.verdict for link in found.values()] == ["unchecked", "ok"]
    assert "no release" in found["git tag"].found


def test_a_release_after_it_whose_lineage_json_is_lost_is_unchecked(published):
    root, (_, _, third) = published
    (root / ".remote/files/md5" / third.record[:2] / third.record[2:]).unlink()
    assert links(root, "2")["the release before dataset-3"].verdict == "unchecked"


def test_commits_after_a_release_do_not_make_its_tag_a_moved_one(published):
    root, _ = published
    git(root, "commit", "--quiet", "--allow-empty", "--message", "a new README")
    assert faults(root, "HEAD") == {}


@pytest.mark.parametrize("how", [["--depth", "1"], ["--single-branch", "--no-tags"]])
def test_a_clone_that_lacks_history_or_branches_proves_nothing(published, tmp_path, how):
    root, (first, _, third) = published
    git(root, "checkout", "--quiet", "-b", "another", first.revision)
    clone = tmp_path / "clone"
    git(root, "clone", "--quiet", *how, root.as_uri(), str(clone))
    shutil.copytree(root / ".remote", clone / ".remote")
    git(clone, "fetch", "--quiet", "--no-tags", "origin", "refs/tags/dataset-3:refs/tags/dataset-3")
    found = links(clone, "3")
    assert {link.verdict for link in found.values()} == {"ok", "unchecked"}
    assert found[f"git commit {third.revision[:12]}"].verdict == "unchecked"
    assert found["the release before dataset-3"].found == "this clone does not have tag dataset-2"
