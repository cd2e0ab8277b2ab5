import pytest
from kept_versions import git, keep, make_repository, publish

from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.versions import find_revision


def released(root, text):
    release = publish(root, text)
    return release.revision, release.version


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp("versions") / "a repository"
    make_repository(root)
    assert find_revision(root, "latest") == "HEAD", "where nothing is published"
    return root, released(root, "first"), released(root, "second")


def test_a_version_is_found_by_each_of_its_names(published):
    root, (revision, version), _ = published
    for name in ("1", version, "dataset-1", revision, revision[:9]):
        assert find_revision(root, name) == revision
    assert find_revision(root, "HEAD~2") == revision


def test_the_latest_is_what_was_published_last_in_the_history_of_what_is_checked_out(published):
    root, (first, _), (second, _) = published
    assert find_revision(root, "latest") == second
    git(root, "checkout", "--quiet", first)
    assert find_revision(root, "latest") == first
    git(root, "checkout", "--quiet", "-")
    keep(root, "not published")
    assert find_revision(root, "latest") == second
    git(root, "commit", "--quiet", "--allow-empty", "--message", "more")
    assert find_revision(root, "latest") == second


def test_the_latest_does_not_fall_back_where_its_tag_is_gone(published, tmp_path):
    root, _, (second, _) = published
    clone = tmp_path / "clone"
    git(root, "clone", "--quiet", str(root), str(clone))
    git(clone, "tag", "--delete", "dataset-2")
    assert find_revision(clone, "latest") == second


def test_outside_the_history_of_any_release_the_newest_tag_is_the_latest(published, tmp_path):
    root, _, (second, _) = published
    clone = tmp_path / "clone"
    git(root, "clone", "--quiet", str(root), str(clone))
    git(clone, "checkout", "--quiet", "--orphan", "empty")
    git(clone, "commit", "--quiet", "--message", "begun anew", "--", "seed.txt")
    assert find_revision(clone, "latest") == second


@pytest.mark.parametrize("name", ["3", "0", "0123456789ab", "champion of all"])
def test_a_name_that_no_version_has_is_answered_with_those_there_are(published, name):
    root, (_, first), (_, second) = published
    with pytest.raises(DataError, match=rf"version '{name}': there is none .*there are 1 \({first}\), 2 \({second}\)"):
        find_revision(root, name)


def test_a_number_is_never_taken_for_a_part_of_a_digest(published, tmp_path):
    make_repository(tmp_path / "unpublished")
    with pytest.raises(DataError, match="git knows no published version"):
        find_revision(tmp_path / "unpublished", "7")
