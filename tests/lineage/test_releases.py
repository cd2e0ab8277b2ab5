import subprocess

import pytest

from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.releases import Release, number_for, release_of, releases, tag_message

VERSIONS = ["0123456789ab", "ba9876543210", "ffffffffffff"]
RECORD = "d41d8cd98f00b204e9800998ecf8427e"


def git(root, *arguments):
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def commit(root, message):
    git(root, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(root, "rev-parse", "HEAD")


def publish(root, number, version):
    revision = commit(root, f"version {number}")
    git(root, "tag", "--annotate", f"dataset-{number}", "--message", tag_message(version, RECORD))
    return Release(number, revision, version, RECORD)


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "--quiet")
    return tmp_path


def test_releases_are_in_the_order_of_their_numbers_and_other_tags_are_none(repository):
    assert releases(repository) == []
    published = [publish(repository, number, version) for number, version in zip((2, 9, 10), VERSIONS, strict=True)]
    for other in ("dataset-x", "dataset-", "dataset-02", "v3"):
        git(repository, "tag", other)
    assert releases(repository) == published
    assert [release.tag for release in published] == ["dataset-2", "dataset-9", "dataset-10"]


def test_a_version_is_published_once_and_the_next_has_the_next_number(repository):
    assert number_for(repository, VERSIONS[0]) == 1
    first, third = publish(repository, 1, VERSIONS[0]), publish(repository, 3, VERSIONS[1])
    assert release_of(repository, VERSIONS[1]) == third and release_of(repository, VERSIONS[2]) is None
    assert number_for(repository, VERSIONS[0]) == first.number
    assert number_for(repository, VERSIONS[2]) == 4


@pytest.mark.parametrize("how", [["tag"], ["tag", "--annotate", "--message", "by hand"]])
def test_a_tag_that_was_not_made_by_publishing_names_no_version(repository, how):
    revision = commit(repository, f"{tag_message(VERSIONS[0], RECORD)}")
    git(repository, *how, "dataset-1")
    assert releases(repository) == [Release(1, revision, "", "")]


def test_outside_git_there_are_none(tmp_path):
    assert releases(tmp_path) == []


@pytest.mark.parametrize(("version", "record"), [("", RECORD), (VERSIONS[0], ""), (VERSIONS[0], f"{RECORD}\nand more")])
def test_what_cannot_be_read_again_is_no_message(version, record):
    with pytest.raises(DataError, match="not what DVC makes"):
        tag_message(version, record)
