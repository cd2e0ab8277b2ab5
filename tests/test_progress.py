import io
import sys

from pipeline_tasks.progress import track


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_items_pass_through():
    assert list(track(iter("abc"), "letters", total=3)) == ["a", "b", "c"]


def test_a_log_gets_whole_lines(capsys):
    for _ in track(range(5), "train plate"):
        pass
    log = capsys.readouterr().err
    lines = log.splitlines()
    assert "\r" not in log
    assert lines[-1].startswith("train plate: 100%")
    assert "5/5" in lines[-1]


def test_a_terminal_gets_a_bar_in_place(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    list(track(range(5), "train"))
    assert "\r" in stream.getvalue()


def test_a_resumed_bar_starts_where_the_earlier_run_ended(capsys):
    bar = track(range(6, 10), "train", total=10, done=6)
    assert bar.n == 6
    list(bar)
    assert "10/10" in capsys.readouterr().err.splitlines()[-1]


def test_a_bar_may_be_moved_by_hand(capsys):
    with track(range(4), "generate") as bar:
        bar.update(3)
        bar.update()
    assert "4/4" in capsys.readouterr().err.splitlines()[-1]
