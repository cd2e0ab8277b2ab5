"""What the operating system refuses is named, with a remedy, and leaves neither half a file nor half a folder."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rows import sample
from safetensors import SafetensorError

from pipeline_tasks.commands.checkpoints import FolderCheckpoints
from pipeline_tasks.errors import StorageError, refusals_named
from pipeline_tasks.lineage.files import replace_text
from pipeline_tasks.schema import Sample
from pipeline_tasks.storage import PARTIAL, atomic_file, atomic_folder, write_json, write_rows

FULL = "No space left on device; free space there, then run this again"


@pytest.fixture
def full_disk(monkeypatch):
    """Every file that is to replace another one is on a device that is always full."""

    def on_full_device(dir, prefix, suffix=""):
        link = Path(dir, f"{prefix}{suffix}")
        link.symlink_to("/dev/full")
        return os.open(link, os.O_WRONLY), str(link)

    monkeypatch.setattr(tempfile, "mkstemp", on_full_device)


WRITERS = {
    "table": lambda path: write_rows(path, [sample()], Sample),
    "JSON": lambda path: write_json(path, {"much": "text"}),
    "text": lambda path: replace_text(path, "text"),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_leaves_the_old_file(tmp_path, full_disk, write):
    path = tmp_path / "output"
    path.write_text("old")
    with pytest.raises(StorageError) as refused:
        write(path)
    assert str(refused.value) == f"{path}: {FULL}"
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_full_disk_leaves_the_old_folder_and_the_old_checkpoint(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(StorageError, match=rf"/folder: {FULL}"), atomic_folder(folder) as fresh:
        (fresh / "new.txt").write_text("new")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [*tmp_path.rglob("*")] == [folder]

    def fail(*_):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(StorageError, match=rf"/folder/state\.safetensors: {FULL}"):
        FolderCheckpoints(folder).save({})
    assert [*tmp_path.rglob("*")] == [folder]


def test_what_is_in_the_way_is_named_itself(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StorageError, match=r"/data: .*; move away the file that is in the place of a folder, then run"):
        write_json(tmp_path / "data" / "x.json", {})


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EISDIR, errno.EIO])
def test_every_refusal_has_its_words_and_its_remedy(tmp_path, code):
    with pytest.raises(StorageError) as refused, refusals_named(tmp_path):
        raise OSError(code, os.strerror(code), "some/file")
    where, reason, remedy = str(refused.value).replace(": ", "; ").split("; ")
    assert (where, reason) == ("some/file", os.strerror(code))
    assert remedy.endswith(", then run this again")


@pytest.mark.parametrize("error", [OSError("no code"), BrokenPipeError(errno.EPIPE, "x"), ValueError("[Errno 28] x")])
def test_other_errors_pass(tmp_path, error):
    with pytest.raises(type(error)) as passed, atomic_file(tmp_path / "x"):
        raise error
    assert passed.value is error


def test_a_command_that_is_refused_says_so_in_a_line_and_may_be_tried_again(defectline, product_folder, tmp_path):
    product_folder.good(1).defect("dent", 1)
    (tmp_path / "out").write_text("a file")
    ran = defectline("catalog", product_folder.root, "--output", "out/catalog.yaml")
    assert (ran.status, ran.out) == (75, "")
    told = "move away the file that is in the place of a folder, then run this again"
    assert ran.err == f"error: out/catalog.yaml: Not a directory; {told}\n"


def test_what_killed_writes_left_goes_with_the_next(tmp_path):
    for name in (f".out.abcd1234{PARTIAL}", f".out.abcd1235{PARTIAL}", f".out.json.abcd1234{PARTIAL}"):
        (tmp_path / name).mkdir()
    (tmp_path / f".out.abcd1236{PARTIAL}").write_text("half")
    write_json(tmp_path / "out", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".out.json.abcd1234{PARTIAL}", "out"]


def can_mount():
    done = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.skipif(not shutil.which("unshare") or not can_mount(), reason="needs the right to mount a small disk")
def test_what_does_not_fit_into_dvcs_cache_fails_its_stage_although_dvc_says_all_is_well(tiny_pipeline):
    stage = tiny_pipeline / "stage.sh"
    stage.write_text(stage.read_text() + 'head -c 3000000 /dev/urandom > "$output/large"\n')
    (tiny_pipeline / ".dvc/cache").mkdir()
    repro = f"{sys.executable} -m pipeline_tasks repro ingest@plate"
    small = f"mount -t tmpfs -o size=1m tmpfs .dvc/cache && {repro}"
    full = subprocess.run(["unshare", "-rm", "sh", "-c", small], capture_output=True, text=True, check=False)
    assert full.returncode == 75, full.stdout
    assert full.stderr.startswith("error: stage 'ingest@plate': failed to transfer")
    assert "No space left on device" in full.stderr and full.stderr.endswith(
        "; free space there, then run this again\n"
    )
    later = subprocess.run(repro.split(), capture_output=True, text=True, check=True)
    assert later.stdout.endswith("\nran\n"), "what did not get into the cache is not taken for done"
