import time
from pathlib import Path

import pytest
from dvc.fs import LocalFileSystem

from pipeline_tasks.errors import ConfigError, DataError, TransientError
from pipeline_tasks.lineage import unfinished
from pipeline_tasks.lineage.remote import RemoteFolder
from pipeline_tasks.lineage.unfinished import Unfinished, kept_on_remote


@pytest.fixture
def there(tmp_path: Path) -> RemoteFolder:
    return RemoteFolder("trial", LocalFileSystem(), str(tmp_path / "remote"))


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    time.sleep(0.01)


def test_what_one_node_leaves_another_finds(tmp_path, there):
    one, other = Unfinished(tmp_path / "one", there), Unfinished(tmp_path / "other", there)
    write(one.local / "key/00000.parquet", "shard")
    write(one.local / "key/rejected/00000.parquet", "rejected")
    write(one.local / "key/.00001.parquet.abcdefgh.part", "half")
    one.copy()
    assert other.fetch() == 2
    found = {file.relative_to(other.local).as_posix(): file.read_text() for file in other.local.rglob("*.parquet")}
    assert found == {"key/00000.parquet": "shard", "key/rejected/00000.parquet": "rejected"}
    assert Unfinished(tmp_path / "third", there.below("elsewhere")).fetch() == 0


def test_only_what_changed_is_copied_and_in_the_order_it_was_written(tmp_path, there, monkeypatch):
    sent = []
    upload = RemoteFolder.upload
    monkeypatch.setattr(RemoteFolder, "upload", lambda self, file, name: (sent.append(name), upload(self, file, name)))
    work = Unfinished(tmp_path / "work", there)
    write(work.local / "z", "first")
    write(work.local / "a", "second")
    work.copy()
    work.copy()
    write(work.local / "z", "third")
    work.copy()
    assert sent == ["z", "a", "z"]
    assert there.read("z") == "third"


def test_what_the_stage_removes_goes_from_the_remote(tmp_path, there):
    work = Unfinished(tmp_path / "work", there)
    write(work.local / "key/state", "s")
    work.copy()
    (work.local / "key/state").unlink()
    work.copy()
    assert there.names() == []


def test_what_was_fetched_is_not_sent_back_and_goes_when_it_is_used_up(tmp_path, there, monkeypatch):
    there.write("key/state", "s")
    work = Unfinished(tmp_path / "work", there)
    work.fetch()
    monkeypatch.setattr(RemoteFolder, "upload", lambda *_: pytest.fail("sent back"))
    work.copy()
    (work.local / "key/state").unlink()
    work.copy()
    assert there.names() == []


def test_a_file_that_is_here_is_not_replaced(tmp_path, there):
    there.write("key/state", "old")
    work = Unfinished(tmp_path / "work", there)
    write(work.local / "key/state", "newer")
    work.fetch()
    assert (work.local / "key/state").read_text() == "newer"


def test_a_name_that_leads_elsewhere_is_refused(tmp_path, there, monkeypatch):
    monkeypatch.setattr(RemoteFolder, "names", lambda _: ["../../outside"])
    with pytest.raises(DataError, match=r"outside' is outside its folder"):
        Unfinished(tmp_path / "a/b/work", there).fetch()
    assert not (tmp_path / "a/outside").exists()


def test_work_is_copied_while_it_goes_on_and_however_it_ends(tmp_path, there, monkeypatch):
    monkeypatch.setenv(unfinished.INTERVAL, "0.02")
    work = Unfinished(tmp_path / "work", there)
    with pytest.raises(SystemExit), kept_on_remote(work):
        write(work.local / "early", "1")
        deadline = time.monotonic() + 10
        while "early" not in there.names():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        monkeypatch.setenv(unfinished.INTERVAL, "1000")
        write(work.local / "late", "2")
        raise SystemExit
    assert there.names() == ["early", "late"]


def test_a_copy_that_fails_is_told_and_stops_nothing(tmp_path, there, monkeypatch, capsys):
    def refuse(*_):
        raise TransientError("DVC remote 'trial': it is gone")

    monkeypatch.setattr(RemoteFolder, "upload", refuse)
    work = Unfinished(tmp_path / "work", there)
    with kept_on_remote(work):
        write(work.local / "a", "1")
    assert "unfinished work was not copied: DVC remote 'trial': it is gone" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["0", "-1", "often"])
def test_an_interval_must_make_sense(tmp_path, there, monkeypatch, given):
    monkeypatch.setenv(unfinished.INTERVAL, given)
    with (
        pytest.raises(ConfigError, match=f"DEFECTLINE_COPY_SECONDS: '{given}'"),
        kept_on_remote(Unfinished(tmp_path, there)),
    ):
        pass
