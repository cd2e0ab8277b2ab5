import shutil
import time
from pathlib import Path

import pytest
from dvc.fs import LocalFileSystem

from pipeline_tasks.errors import ConfigError, DataError, TransientError
from pipeline_tasks.lineage import unfinished
from pipeline_tasks.lineage.copies import Copies
from pipeline_tasks.lineage.remote import RemoteFolder
from pipeline_tasks.lineage.unfinished import kept_on_remote


@pytest.fixture
def there(tmp_path: Path) -> RemoteFolder:
    return RemoteFolder("trial", LocalFileSystem(), str(tmp_path / "remote"))


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    time.sleep(0.01)


def test_what_one_node_leaves_another_finds(tmp_path, there):
    one, other = Copies(tmp_path / "one", there), Copies(tmp_path / "other", there)
    write(one.local / "key/00000.parquet", "shard")
    write(one.local / "key/rejected/00000.parquet", "rejected")
    write(one.local / "key/.00001.parquet.abcdefgh.part", "half")
    one.copy()
    assert other.fetch() == 2
    found = {file.relative_to(other.local).as_posix(): file.read_text() for file in other.local.rglob("*.parquet")}
    assert found == {"key/00000.parquet": "shard", "key/rejected/00000.parquet": "rejected"}
    assert Copies(tmp_path / "third", there.below("elsewhere")).fetch() == 0


def test_only_what_changed_is_copied_and_in_the_order_it_was_written(tmp_path, there, monkeypatch):
    sent = []
    upload = RemoteFolder.upload
    monkeypatch.setattr(RemoteFolder, "upload", lambda self, file, name: (sent.append(name), upload(self, file, name)))
    work = Copies(tmp_path / "work", there)
    write(work.local / "z", "first")
    write(work.local / "a", "second")
    work.copy()
    work.copy()
    write(work.local / "z", "third")
    work.copy()
    assert sent == ["z", "a", "z"]
    assert there.read("z") == "third"


def test_what_the_stage_removes_stays_until_it_is_tidied_up_the_last_first(tmp_path, there, monkeypatch):
    work = Copies(tmp_path / "work", there)
    for name in ("key/shard", "key/rejected/shard"):
        write(work.local / name, "s")
    work.copy()
    shutil.rmtree(work.local / "key")
    work.copy()
    assert there.names() == ["key/rejected/shard", "key/shard"]
    gone = []
    remove = RemoteFolder.remove
    monkeypatch.setattr(RemoteFolder, "remove", lambda self, name: (gone.append(name), remove(self, name)))
    work.tidy()
    assert gone == ["key/rejected/shard", "key/shard"] and there.names() == []


def test_what_was_fetched_is_not_sent_back_and_goes_when_it_is_used_up(tmp_path, there, monkeypatch):
    there.write("key/state", "s")
    work = Copies(tmp_path / "work", there)
    work.fetch()
    monkeypatch.setattr(RemoteFolder, "upload", lambda *_: pytest.fail("sent back"))
    work.copy()
    (work.local / "key/state").unlink()
    work.tidy()
    assert there.names() == []


def test_what_is_here_before_is_left_alone(tmp_path, there):
    work = Copies(tmp_path / "work", there)
    write(work.local / "mine", "1")
    work.leave_present()
    write(work.local / "new", "2")
    work.copy()
    assert there.names() == ["new"]


def test_a_copy_that_goes_while_others_are_fetched_is_passed_over(tmp_path, there, monkeypatch):
    there.write("kept", "1")
    monkeypatch.setattr(RemoteFolder, "names", lambda _: ["gone", "kept"])
    work = Copies(tmp_path / "work", there)
    assert work.fetch() == 1
    assert [file.name for file in work.local.iterdir()] == ["kept"]


def test_what_is_in_an_unfinished_folder_is_not_copied(tmp_path, there):
    work = Copies(tmp_path / "work", there)
    write(work.local / ".model.abcdefgh.part/weights", "half")
    work.copy()
    assert there.names() == []


def test_a_file_that_is_here_is_not_replaced(tmp_path, there):
    there.write("key/state", "old")
    work = Copies(tmp_path / "work", there)
    write(work.local / "key/state", "newer")
    work.fetch()
    assert (work.local / "key/state").read_text() == "newer"


def test_a_name_that_leads_elsewhere_is_refused(tmp_path, there, monkeypatch):
    monkeypatch.setattr(RemoteFolder, "names", lambda _: ["../../outside"])
    with pytest.raises(DataError, match=r"outside' would be outside"):
        Copies(tmp_path / "a/b/work", there).fetch()
    assert not (tmp_path / "a/outside").exists()


def test_work_is_copied_while_it_goes_on_and_however_it_ends(tmp_path, there, monkeypatch):
    monkeypatch.setenv(unfinished.INTERVAL, "0.02")
    work = Copies(tmp_path / "work", there)
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
    work = Copies(tmp_path / "work", there)
    with kept_on_remote(work):
        write(work.local / "a", "1")
    assert "unfinished work was not copied: DVC remote 'trial': it is gone" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["0", "-1", "often"])
def test_an_interval_must_make_sense(tmp_path, there, monkeypatch, given):
    monkeypatch.setenv(unfinished.INTERVAL, given)
    with (
        pytest.raises(ConfigError, match=f"DEFECTLINE_COPY_SECONDS: '{given}'"),
        kept_on_remote(Copies(tmp_path, there)),
    ):
        pass
