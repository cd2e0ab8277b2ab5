from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from rows import digest
from settings import settings

from pipeline_tasks.schema import GOOD
from pipeline_tasks.splits.assignment import Found, assign
from pipeline_tasks.splits.membership import Member
from pipeline_tasks.splits.protocols import MOST_BASE, PROTOCOLS

INGEST = settings().ingest


def found(defect, number, held_out=False):
    path = f"test/{defect}/{number:03d}.png"
    return Found(path, digest(path), defect, held_out)


def pits(count, start=0):
    return [found("pit", number) for number in range(start, start + count)]


def goods(count, start=0, held_out=False):
    return [found(GOOD, number, held_out) for number in range(start, start + count)]


def split(samples, groups=(), known=(), **ingest):
    return assign(INGEST.model_copy(update=ingest), samples, groups, known)


def numbers(assignment, side="base", defect="pit"):
    """Return the numbers of a defect's samples on one side."""
    rows = [member for member in assignment.members if (member.split, member.defect) == (side, defect)]
    return sorted(int(row.source_path[-7:-4]) for row in rows)


def flipped(members, number, side, defect="pit"):
    return [replace(m, split=side) if m.source_path == f"test/{defect}/{number:03d}.png" else m for m in members]


def test_the_lowest_names_are_base_and_the_rest_is_test():
    assert numbers(split(pits(9))) == [0, 1, 2]
    assert numbers(split(pits(9)), "test") == [3, 4, 5, 6, 7, 8]


def test_near_duplicates_stay_together_and_the_next_names_fill_the_base():
    made = split(pits(9), [[0, 8], [1, 4, 5, 6]])
    assert numbers(made) == [0, 2, 8]
    groups = {member.source_path: member.group for member in made.members if member.group}
    assert set(groups.values()) == {"test/pit/000.png", "test/pit/001.png"}
    assert groups["test/pit/008.png"] == "test/pit/000.png"


def test_where_no_part_fits_the_one_with_the_fewest_shots_is_base():
    made = split(pits(6), [[0, 1, 2], [3, 4, 5]])
    assert (numbers(made), numbers(made, "test")) == ([0, 1, 2], [3, 4, 5])
    made = split(pits(3), [[0, 1, 2]])
    assert numbers(made) == [0, 1, 2]
    assert made.notes == ["'pit' has no test sample: nothing is measured on it"]


def test_a_part_with_two_defects_must_fit_both():
    samples = [*pits(6), *(found("stain", number) for number in range(3))]
    made = split(samples, [[0, 6, 7]])
    assert (numbers(made), numbers(made, "base", "stain")) == ([1, 2], [2])


def test_what_the_data_set_holds_out_is_test_with_its_near_duplicates():
    samples = [found("pit", 0, held_out=True), *pits(8, start=1)]
    made = split(samples, [[0, 2]])
    assert numbers(made) == [1, 3, 4]
    assert numbers(made, "test") == [0, 2, 5, 6, 7, 8]


def test_a_defect_that_is_held_out_whole_has_no_base_and_says_so():
    made = split([found("pit", number, held_out=True) for number in range(3)])
    assert made.notes == ["'pit' has no base sample: nothing is learned of it"]


def test_normal_shots_on_both_sides_of_the_data_sets_split_are_test_and_told():
    samples = [*pits(3), *goods(3), *goods(3, start=3, held_out=True)]
    made = split(samples, [[3, 6]])
    assert numbers(made, "base", GOOD) == [1, 2]
    assert numbers(made, "test", GOOD) == [0, 3, 4, 5]
    (note,) = [note for note in made.notes if note.startswith("test: ")]
    assert note.startswith("test: test/good/000.png: the data set holds it, or a shot of the same part, out")


def test_a_table_that_knows_none_of_the_images_is_another_products():
    before = split(pits(12)).members
    others = [replace(sample, sha256=digest(f"other {sample.source_path}")) for sample in pits(6)]
    made = split(others, known=before)
    assert sorted(m.source_path[-7:-4] for m in made.members if m.present and m.split == "base") == ["000", "001"]
    assert len(made.members) == 18 and "knows none of these images" in made.notes[0]
    renamed = [*others[:5], pits(6)[5]]
    assert [m.split for m in split(renamed, known=before).members if m.present] == ["base"] * 4 + ["test"] * 2


def test_what_is_gone_is_marked_so():
    before = split(pits(6), [[0, 1]]).members
    after = split(pits(4, start=2), known=before).members
    assert {m.source_path[-7:-4] for m in after if not m.present} == {"000", "001"}


def test_normal_shots_of_a_part_with_a_held_out_defect_are_test():
    made = split([found("pit", 0, held_out=True), *pits(3, start=1), *goods(4)], [[0, 4]], normal_test_fraction=0)
    assert numbers(made, "test", GOOD) == [0]


def test_a_share_of_normal_images_is_held_out_where_the_data_set_names_none():
    made = split([*pits(3), *goods(20)], [[3, 4, 5]], normal_test_fraction=0.25)
    held_out = set(numbers(made, "test", GOOD))
    assert len(held_out) == 5
    assert not {0, 1, 2} & held_out or {0, 1, 2} <= held_out
    more = split([*pits(3), *goods(28)], known=made.members, normal_test_fraction=0.25)
    assert held_out < set(numbers(more, "test", GOOD)) and len(numbers(more, "test", GOOD)) == 7
    assert numbers(split([*pits(3), *goods(4)]), "test", GOOD) == [], "a fifth of four is none"


def test_another_sample_reshuffles_no_draw():
    before = split(pits(12), protocol="half-split", draw=1)
    after = split(pits(13), known=before.members, protocol="half-split", draw=1)
    assert numbers(before) == [n for n in numbers(after) if n != 12]
    assert numbers(before) != numbers(split(pits(12), protocol="half-split", draw=2))


def test_a_known_sample_keeps_its_side_and_new_ones_fill_the_base():
    first = split(pits(6, start=10))
    assert numbers(first) == [10, 11]
    second = split(pits(16), known=first.members)
    assert numbers(second) == [0, 1, 2, 10, 11], "a third of sixteen, the new ones with the lowest names first"


def test_a_sample_that_vanishes_keeps_its_row_and_its_side_when_it_returns():
    first = split(pits(9))
    without = split(pits(8, start=1), known=first.members)
    assert numbers(without) == [0, 1, 2], "two that are there: as many as a third of eight"
    assert numbers(split(pits(9), known=without.members)) == [0, 1, 2]
    replaced = split(pits(9, start=3), known=without.members)
    assert numbers(replaced) == [0, 1, 2, 9, 10, 11], "rows of what is gone count nothing"
    assert numbers(split(pits(12), known=replaced.members)) == [0, 1, 2, 9, 10, 11]


def test_a_renamed_file_and_a_changed_one_are_known():
    first = split(pits(6))
    renamed = [Found("test/pit/099.png", digest("test/pit/000.png"), "pit", False), *pits(5, start=1)]
    made = split(renamed, known=first.members)
    assert numbers(made) == [1, 99] and len(made.members) == 6
    changed = [Found("test/pit/000.png", digest("edited"), "pit", False), *pits(5, start=1)]
    made = split(changed, known=first.members)
    assert numbers(made) == [0, 1] and digest("edited") in {member.sha256 for member in made.members}


def test_two_files_that_swap_their_names_keep_their_sides_by_content():
    first = split(pits(3))
    swapped = [
        Found("test/pit/000.png", digest("test/pit/002.png"), "pit", False),
        found("pit", 1),
        Found("test/pit/002.png", digest("test/pit/000.png"), "pit", False),
    ]
    assert numbers(split(swapped, known=first.members)) == [2]


def test_a_new_near_duplicate_joins_the_side_of_the_known_ones():
    first = split(pits(6))
    made = split(pits(8), [[0, 6], [4, 7]], known=first.members)
    assert numbers(made) == [0, 1, 6] and made.notes == []


def test_a_shot_that_ties_base_to_test_moves_the_base_ones_loudly():
    first = split(pits(6))
    made = split(pits(7), [[0, 6, 5]], known=first.members)
    assert numbers(made) == [1]
    assert made.notes == ["moved from base to test: test/pit/000.png: a shot of the same part is a test sample"]


def test_a_hand_written_side_is_honoured_unless_it_leaks():
    first = split(pits(9), [[3, 4]])
    edited = flipped(flipped(first.members, 0, "test"), 8, "base")
    made = split(pits(9), [[3, 4]], known=edited)
    assert (numbers(made), made.notes) == ([1, 2, 8], [])
    leaking = split(pits(9), [[3, 4]], known=flipped(first.members, 3, "base"))
    assert numbers(leaking) == [0, 1, 2]
    assert leaking.notes == ["moved from base to test: test/pit/003.png: a shot of the same part is a test sample"]


def test_what_the_data_set_holds_out_cannot_be_made_base_by_hand():
    samples = [found("pit", 9, held_out=True), *pits(3)]
    made = split(samples, known=flipped(split(samples).members, 9, "base"))
    assert 9 not in numbers(made) and "moved from base to test: test/pit/009.png: the data set" in made.notes[0]


def test_no_more_than_the_limit_are_base_whatever_the_table_says():
    known = [replace(member, split="base") for member in split(pits(40)).members]
    made = split(pits(40), known=known)
    assert numbers(made) == list(range(MOST_BASE))
    assert f"there are more than {MOST_BASE} base samples of 'pit'" in made.notes[0]


@pytest.mark.parametrize("changed", [{"protocol": "mvtec-localization"}, {"protocol": "half-split", "draw": 1}])
def test_another_scheme_splits_anew_and_says_so(changed):
    first = split(pits(8), protocol="half-split")
    made = split(pits(8), known=first.members, **changed)
    assert made.members == split(pits(8), **changed).members
    assert made.notes[0].startswith("the split is made anew by") and "it was made by half-split draw 0" in made.notes[0]


def test_another_draw_of_a_protocol_that_draws_nothing_changes_nothing():
    first = split(pits(8))
    assert split(pits(8), known=first.members, draw=3).notes == []


def withdrawn(members, *numbers, defect="pit"):
    paths = {f"test/{defect}/{number:03d}.png" for number in numbers}
    return [replace(m, withdrawn="2030-01-02 Ann: blurred") if m.source_path in paths else m for m in members]


def test_a_withdrawn_base_sample_is_not_replaced_by_a_known_test_sample_but_by_a_new_one():
    first = split(pits(9))
    without = split([*pits(1), *pits(7, start=2)], known=withdrawn(first.members, 1))
    present = [m for m in without.members if m.present]
    assert [m.source_path[-7:-4] for m in present if m.split == "base"] == ["000", "002"]
    assert {m.source_path for m in present if m.split == "test"} == {f"test/pit/{n:03d}.png" for n in range(3, 9)}
    grown = split([*pits(1), *pits(9, start=2)], known=without.members)
    assert [m.source_path[-7:-4] for m in grown.members if m.present and m.split == "base"] == ["000", "002", "009"]


def test_the_row_of_a_withdrawn_sample_keeps_its_side_and_so_does_the_sample_when_it_is_put_back():
    first = split(pits(9), [[1, 2]])
    without = split([*pits(1), *pits(7, start=2)], known=withdrawn(first.members, 1, 8))
    rows = {m.source_path: m for m in without.members}
    assert (rows["test/pit/001.png"].split, rows["test/pit/001.png"].group) == ("base", "test/pit/001.png")
    assert rows["test/pit/008.png"].split == "test"
    assert {m.source_path for m in without.members if not m.present} == {"test/pit/001.png", "test/pit/008.png"}
    assert all(rows[f"test/pit/00{n}.png"].withdrawn == "2030-01-02 Ann: blurred" for n in (1, 8))
    back = split(pits(9), [[1, 2]], known=[replace(m, withdrawn="") for m in without.members])
    assert back.members == first.members


def test_it_stays_withdrawn_where_another_scheme_splits_anew_and_where_its_file_is_gone():
    known = withdrawn(split(pits(9)).members, 1)
    left = [*pits(1), *pits(7, start=2)]
    anew = split(left, known=known, protocol="half-split", draw=2)
    (row,) = [m for m in anew.members if m.withdrawn]
    assert (row.source_path, row.split, row.present) == ("test/pit/001.png", "base", False)
    assert {m.protocol for m in anew.members} == {"half-split draw 2"}
    assert [m for m in anew.members if not m.withdrawn] == split(left, protocol="half-split", draw=2).members
    assert row in split(left, known=anew.members, protocol="half-split", draw=2).members


def test_another_content_under_its_name_has_its_side_and_both_rows_stay():
    known = withdrawn(split(pits(9)).members, 0, 8)
    again = [Found(f"test/pit/{n:03d}.png", digest(f"again {n}"), "pit", False) for n in (0, 8)]
    made = split([*pits(7, start=1), *again], known=known)
    rows = {m.sha256: m for m in made.members}
    assert (rows[digest("again 0")].split, rows[digest("again 8")].split) == ("base", "test")
    assert all(
        rows[digest(f"test/pit/00{n}.png")].withdrawn and not rows[digest(f"again {n}")].withdrawn for n in (0, 8)
    )
    assert len(rows) == len(made.members) == 11
    assert split([*pits(7, start=1), *again], known=made.members).members == made.members


def test_a_new_shot_of_a_part_whose_known_test_shot_is_withdrawn_is_free():
    known = withdrawn(split(pits(6)).members, 5)
    made = split([*pits(5), found("pit", 6)], known=known)
    assert numbers(made) == [0, 1], "a third of six is there already"
    assert 6 in numbers(made, "test")


@examples(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_comes_no_part_is_on_two_sides_and_no_known_test_sample_becomes_base(data):
    protocol = data.draw(st.sampled_from(sorted(PROTOCOLS)))
    known: list[Member] = []
    for _ in range(3):
        held_out = data.draw(st.integers(0, 3))
        everything = [*pits(9), *[found("stain", n, n < held_out) for n in range(5)], *goods(5), *goods(2, 5, True)]
        out = {m.sha256 for m in known if m.withdrawn}
        samples = [s for s in everything if s.sha256 not in out and data.draw(st.integers(0, 3))]
        labels = [data.draw(st.integers(0, 12)) for _ in samples]
        groups = [[i for i, label in enumerate(labels) if label == part] for part in range(6)]
        groups = [group for group in groups if len(group) > 1]
        made = split(samples, groups, known, protocol=protocol)
        side = {member.source_path: member.split for member in made.members}
        for group in groups:
            assert len({side[samples[i].source_path] for i in group}) == 1
        assert all(side[m.source_path] == "test" for m in known if m.split == "test")
        assert all(side[s.source_path] == "test" for s in samples if s.held_out and s.defect != GOOD)
        assert {m.source_path for m in known} <= side.keys() and len(side) == len(made.members)
        assert {(m.sha256, m.split) for m in known if m.withdrawn} <= {(m.sha256, m.split) for m in made.members}
        known = [replace(m, withdrawn=data.draw(st.sampled_from(["", "", "", "why"]))) for m in made.members]
