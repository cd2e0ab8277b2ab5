import pytest
from kept_versions import git
from released_records import row
from rows import digest

from pipeline_tasks.audit.sample_changes import sample_changes, withdrawn_at
from pipeline_tasks.splits.membership import Member, write_members

FIRST = "test/pit/000.png"
OLD = [row(f"test/pit/00{number}.png") for number in range(5)]


def changed(old, new, before=(), after=()):
    said = "2030-01-02 Ann: blurred"
    by_digest = [{sample["sha256"]: sample for sample in samples} for samples in (old, new)]
    withdrawn = [dict.fromkeys((digest(path) for path in paths), said) for paths in (before, after)]
    found = list(sample_changes("plate", *by_digest, *withdrawn))
    assert all(change.product == "plate" and change.sha256 for change in found)
    return {(change.source_path, change.change): change.more for change in found}


def test_nothing_differs_between_the_same():
    assert changed(OLD, OLD[::-1]) == {}


@pytest.mark.parametrize(
    ("new", "change", "more"),
    [
        ([*OLD, row("test/stain/009.png", "test")], ("test/stain/009.png", "added"), "test, stain"),
        (OLD[1:], (FIRST, "removed"), "base, pit"),
        ([OLD[0] | {"split": "test"}, *OLD[1:]], (FIRST, "moved"), "base -> test"),
        ([OLD[0] | {"source_path": "x.png"}, *OLD[1:]], ("x.png", "renamed"), "test/pit/000.png -> x.png"),
        ([OLD[0] | {"defect": "dent"}, *OLD[1:]], (FIRST, "relabelled"), "pit -> dent"),
        (
            [OLD[0] | {"sha256": "f"}, *OLD[1:]],
            (FIRST, "replaced"),
            f"it was {digest(FIRST)}",
        ),
    ],
)
def test_each_change_is_told_once(new, change, more):
    assert changed(OLD, new) == {change: more}


def test_a_sample_may_change_in_several_ways():
    new = [OLD[0] | {"source_path": "x.png", "split": "test"}, *OLD[1:]]
    assert {change for _, change in changed(OLD, new)} == {"moved", "renamed"}


def test_a_withdrawal_is_told_from_a_removal_with_who_when_and_why_and_so_is_its_end():
    paths, said = ["test/pit/001.png"], "2030-01-02 Ann: blurred"
    assert changed(OLD, [OLD[0], *OLD[2:]], after=paths) == {("test/pit/001.png", "withdrawn"): said}
    assert changed([OLD[0], *OLD[2:]], OLD, before=paths) == {("test/pit/001.png", "put back"): f"it was: {said}"}


def test_another_image_in_the_place_of_a_withdrawn_one_is_new():
    new = [OLD[0] | {"sha256": "f"}, *OLD[1:]]
    found = changed(OLD, new, after=[FIRST])
    assert {change for _, change in found} == {"withdrawn", "added"}


def test_what_was_withdrawn_is_read_from_the_split_that_git_keeps(tmp_path):
    git(tmp_path, "init", "--quiet")
    taken = Member("a, b.png", digest("a"), "pit", False, "base", "", False, "few-shot-10", "2030-01-02 Ann: why")
    for members in ([taken, Member("c.png", digest("c"), "pit", False, "test", "", True, "few-shot-10")], None):
        if members is None:
            (tmp_path / "splits/plate.csv").write_text("no table")
        else:
            write_members(tmp_path / "splits/plate.csv", members)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--message", "x")
    assert withdrawn_at(tmp_path, "HEAD~1", "plate") == {digest("a"): "2030-01-02 Ann: why"}
    assert withdrawn_at(tmp_path, "HEAD", "plate") == withdrawn_at(tmp_path, "HEAD~1", "tile") == {}
