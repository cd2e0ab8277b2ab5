import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from released_records import made, make_release_repository, product, release, row
from rows import digest

from pipeline_tasks.splits.membership import Member, read_members, write_members

SPLIT = Path("splits/plate.csv")
BASE, SHOT, TEST, ONLY = (f"test/{name}.png" for name in ("pit/000", "pit/001", "pit/005", "dent/000"))


def member(path, split="base", group="", defect="pit", **values):
    fields = {"held_out": False, "present": True, "protocol": "few-shot-10", "withdrawn": "", **values}
    return Member(path, digest(path), defect, split=split, group=group, **fields)


@pytest.fixture
def withdraw(defectline, without_git_identity, monkeypatch):
    """Runs the command as Ann, who is known to git, in a folder with a stored split that is no DVC repository."""
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Ann")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "ann@example.org")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    gone = member("test/pit/009.png", group=BASE, present=False)
    rows = [
        member(BASE, group=BASE),
        member(SHOT, group=BASE),
        gone,
        member(TEST, "test"),
        member("test/pit/006.png", "test"),
    ]
    write_members(SPLIT, [*rows, member(ONLY, defect="dent")])
    return lambda *arguments: defectline("withdraw", "plate", *arguments)


def rows():
    return {row.source_path: row for row in read_members(SPLIT)}


def said(reason="blurred"):
    return f"{datetime.now(UTC).date().isoformat()} Ann <ann@example.org>: {reason}"


@pytest.mark.parametrize("asked", [TEST, f"plate/{TEST}", digest(TEST), digest(TEST)[:8]])
def test_a_sample_is_withdrawn_on_record_by_any_of_its_names(withdraw, asked):
    before = rows()
    ran = withdraw(asked, "--reason", "  blurred\nby  hand ")
    assert ran.status == 0
    assert rows()[TEST] == member(TEST, "test", withdrawn=said("blurred by hand"))
    assert {path: row for path, row in rows().items() if path != TEST} == {p: r for p, r in before.items() if p != TEST}
    assert ran.out.splitlines()[0] == (
        f"plate/{TEST}, {digest(TEST)}: a test sample of 'pit', withdrawn: {said('blurred by hand')}"
    )
    assert "`make refresh` (or `dvc repro`, then `defectline publish`) makes a version without it" in ran.out


def test_a_file_on_this_machine_names_it_too(withdraw, tmp_path):
    (tmp_path / "anything.png").write_bytes(TEST.encode())
    assert withdraw("anything.png", "--reason", "x").status == 0
    assert rows()[TEST].withdrawn


def test_it_is_put_back_on_its_side(withdraw):
    before = SPLIT.read_bytes()
    withdraw(BASE, "--reason", "blurred")
    ran = withdraw(BASE, "--undo")
    assert ran.status == 0 and SPLIT.read_bytes() == before
    assert ran.out.splitlines()[0].endswith(f"a base sample of 'pit' again; it was: {said()}")
    assert "makes a version with it, if its file is still there" in ran.out


def test_what_is_done_already_changes_nothing(withdraw):
    assert withdraw(BASE, "--undo").out == f"plate/{BASE}: not withdrawn; nothing is changed\n"
    withdraw(BASE, "--reason", "blurred")
    stored = SPLIT.read_bytes()
    ran = withdraw(BASE, "--reason", "another reason")
    assert ran.out == f"plate/{BASE}: withdrawn already, {said()}; nothing is changed\n"
    assert SPLIT.read_bytes() == stored


def test_other_shots_of_the_part_are_listed_for_a_person_to_decide(withdraw):
    assert f"other shots of the same part stay, decide on each: {SHOT}\n" in withdraw(BASE, "--reason", "x").out
    assert "other shots" not in withdraw(SHOT, "--reason", "x").out, "the other one is withdrawn, a third is gone"
    assert "other shots" not in withdraw(TEST, "--reason", "x").out


def test_the_last_sample_of_a_defect_on_a_side_is_told(withdraw):
    out = withdraw(ONLY, "--reason", "x").out
    assert "warning: no other base sample of 'dent' is left; add a new one, move one there by hand in splits" in out
    assert "warning" not in withdraw(BASE, "--reason", "x").out


def test_another_content_that_has_its_name_now_is_told_apart(withdraw):
    old = member(BASE, withdrawn="2030-01-02 Bob: blurred", present=False)
    new = Member(BASE, digest("new"), "pit", False, "base", "", True, "few-shot-10")
    write_members(SPLIT, [old, new])
    assert "withdrawn: " in withdraw(BASE, "--reason", "x").out
    assert {row.sha256: bool(row.withdrawn) for row in read_members(SPLIT)} == {old.sha256: True, digest("new"): True}
    ran = withdraw(BASE, "--undo")
    assert ran.status == 1 and "names 2 samples: " in ran.err and "give the SHA-256 of one" in ran.err
    assert withdraw(old.sha256, "--undo").status == 0
    assert withdraw(BASE, "--undo").status == 0
    assert not any(row.withdrawn for row in read_members(SPLIT))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((TEST,), "error: --reason: empty; say why"),
        ((TEST, "--reason", " "), "error: --reason: empty; say why"),
        ((TEST, "--undo", "--reason", "x"), "error: --reason: git keeps what was said before; give none"),
        (("test/pit/404.png", "--reason", "x"), "error: splits/plate.csv: no sample 'test/pit/404.png'; name one as"),
        ((f"{BASE}#defect_free", "--reason", "x"), f"it is made from {BASE}, name that"),
        (("", "--reason", "x"), "error: splits/plate.csv: no sample ''"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(withdraw, arguments, told):
    stored = SPLIT.read_bytes()
    ran = withdraw(*arguments)
    assert (ran.status, ran.out) == (1, "") and told in ran.err
    assert SPLIT.read_bytes() == stored


def test_a_product_without_a_split_and_one_that_is_no_name_are_refused(defectline, withdraw):
    assert (
        "splits/tile.csv: missing; run `dvc repro` to make it"
        in defectline("withdraw", "tile", BASE, "--reason", "x").err
    )
    assert "'../x' is no name" in defectline("withdraw", "../x", BASE, "--reason", "x").err


def test_a_split_from_before_there_was_a_column_gets_one(withdraw):
    SPLIT.write_text(re.sub(r',"(withdrawn)?"$', "", SPLIT.read_text(), flags=re.MULTILINE))
    assert SPLIT.read_text().splitlines()[0].endswith('"protocol"')
    assert withdraw(TEST, "--reason", "blurred").status == 0
    assert rows()[TEST].withdrawn == said() and not rows()[BASE].withdrawn


def test_that_nothing_can_be_traced_is_told_and_undoes_nothing(withdraw):
    ran = withdraw(TEST, "--reason", "x")
    assert ran.status == 0 and rows()[TEST].withdrawn
    assert re.search(r"what was published with it:\n  unchecked: .*DVC", ran.out)


def test_what_was_published_with_it_is_told(withdraw, tmp_path):
    defects = {"pit": made("plate", {BASE: 3}, {"train/good/000.png": 3})}
    generators = {"shared": {"digest": "a" * 32, "pretrained": "e" * 32, "products": ["plate"]}}
    make_release_repository(tmp_path)
    release(tmp_path, {"products": {"plate": product([row(BASE)], defects)}, "generators": generators}, {"run": {}})
    told = withdraw(BASE, "--reason", "x").out.splitlines()
    assert f"    plate/{BASE} (pit): base" in told
    assert "      pairs of plate/pit: parent of 3, made by a generator that learned from it" in told
    assert any(line.startswith("  unchecked: registered models: MLflow was never used here") for line in told)
    assert not (tmp_path / ".mlflow").exists()
