import pytest

from pipeline_tasks.benefit.plan import fit

ARMS = ["a", "b", "c", "d"]


def planned(budget, rounds=3, least=2, seconds=60.0, **cost):
    plan = fit(ARMS, rounds, "seed", least, seconds, budget, **cost)
    return "".join(plan.arms), plan.rounds


@pytest.mark.parametrize(
    ("minutes", "arms", "rounds"),
    [
        (0, "abcd", 3),
        (12, "abcd", 3),
        (11.9, "abcd", 2),  # rounds beyond the least number go first
        (8, "abcd", 2),
        (7.9, "abc", 2),  # then arms, the last ones first
        (5, "ab", 2),
        (3.9, "ab", 1),  # then rounds
        (0.1, "ab", 1),  # the last of it is done whatever it takes
    ],
)
def test_rounds_beyond_the_least_go_first_then_arms_then_rounds(minutes, arms, rounds):
    assert planned(minutes) == (arms, rounds)


def test_fewer_rounds_than_the_least_are_kept_while_there_are_arms_to_leave_out():
    assert planned(2, rounds=1) == ("ab", 1)
    assert planned(3, rounds=1) == ("abc", 1)


def test_a_single_arm_stays():
    assert fit(["a"], 3, "seed", 2, 60.0, 1).arms == ["a"]


def test_arms_may_cost_more_than_the_first():
    prices = {"a": 1, "b": 1, "c": 1, "d": 10}
    assert planned(12, cost=lambda kept: sum(map(prices.get, kept))) == ("abc", 2)
    assert planned(39, cost=lambda kept: sum(map(prices.get, kept))) == ("abcd", 3)


def test_what_is_left_out_is_told_with_the_reason():
    why = "over the budget of 5.5 minutes (one seed of a takes 60 s)"
    assert fit(ARMS, 3, "seed", 2, 60.0, 5.5).left_out == [f"arm c: {why}", f"arm d: {why}", f"1 of 3 seeds: {why}"]
    assert fit(ARMS, 3, "seed", 2, 60.0, 0).left_out == []
