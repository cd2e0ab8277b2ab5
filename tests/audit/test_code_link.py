import pytest
from kept_versions import git

from pipeline_tasks.audit.code_link import code_link
from pipeline_tasks.provenance import code_revision


@pytest.fixture
def root(tmp_path):
    git(tmp_path, "init", "--quiet")
    return tmp_path


def commit(root, text):
    """Commit code that says `text`; return the commit and the id of its tree."""
    (root / "pipeline_tasks").mkdir(exist_ok=True)
    (root / "pipeline_tasks" / "stage.py").write_text(text)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", text)
    return git(root, "rev-parse", "HEAD"), git(root, "rev-parse", "HEAD:pipeline_tasks")


def test_code_of_the_commit_and_of_one_before_it_is_known(root):
    first, second = commit(root, "one"), commit(root, "two")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "only the lock")
    found = code_link(root, "HEAD", {first[1], second[1]}, False)
    assert found.verdict == "ok"
    assert all(f"{tree[:12]} (as of commit {revision[:12]})" in found.found for revision, tree in (first, second))


def test_code_that_came_later_or_was_never_committed_is_not(root):
    first, _ = commit(root, "one")
    _, later = commit(root, "two")
    assert code_link(root, first, {later}, False).verdict == "broken"
    (root / "pipeline_tasks" / "stage.py").write_text("tried out")
    tried = code_revision.__wrapped__(root / "pipeline_tasks")
    found = code_link(root, "HEAD", {tried}, False)
    assert (found.verdict, found.found.endswith("it was not committed")) == ("broken", True) and tried in found.found


def test_other_code_that_was_not_committed_is_no_fault_where_that_of_the_stage_was(root):
    commit(root, "one")
    found = code_link(root, "HEAD", {"0" * 40}, True)
    assert (found.verdict, found.found.endswith("git has the files that generating depends on")) == ("unchecked", True)


def test_code_of_a_merged_branch_that_was_undone_there_is_known(root):
    commit(root, "one")
    git(root, "checkout", "--quiet", "-b", "side")
    _, tried = commit(root, "two")
    commit(root, "one")
    git(root, "checkout", "--quiet", "master")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "meanwhile")
    git(root, "merge", "--quiet", "--no-edit", "side")
    assert code_link(root, "HEAD", {tried}, False).verdict == "ok"


def test_without_rows_there_is_nothing_to_look_up(root):
    assert code_link(root, "HEAD", set(), True).verdict == "unchecked"


def test_a_shallow_clone_knows_the_code_of_its_commit(root, tmp_path_factory):
    commit(root, "one")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "only the lock")
    tree = git(root, "rev-parse", "HEAD:pipeline_tasks")
    clone = tmp_path_factory.mktemp("shallow") / "clone"
    git(root, "clone", "--quiet", "--depth", "1", root.as_uri(), str(clone))
    assert code_link(clone, git(clone, "rev-parse", "HEAD"), {tree}, False).verdict == "ok"
