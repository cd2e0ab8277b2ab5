import hashlib
import subprocess
from pathlib import Path

import pytest

from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.exports.folder import LONGEST_STEM, SUMS, check_free, new_folder, safe_name


def occupy(out, by):
    """Put a folder with a file, or a file, where the export wants to be; return the file."""
    file = out / "mine.txt" if by == "folder" else out
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    return file


def test_every_file_has_its_checksum(tmp_path):
    with new_folder(tmp_path / "new" / "out") as folder:
        folder.write("a/b.txt", b"content")
        folder.place("c/d.txt").write_text("more")
        folder.seal("c/d.txt")
    out = tmp_path / "new" / "out"
    digests = [hashlib.sha256(text).hexdigest() for text in (b"content", b"more")]
    assert (out / SUMS).read_text() == f"{digests[0]}  a/b.txt\n{digests[1]}  c/d.txt\n"
    assert subprocess.run(["sha256sum", "-c", SUMS], cwd=out, capture_output=True).returncode == 0
    assert out.stat().st_mode & 0o777 == 0o755


def test_what_fails_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out") as folder:
        folder.write("a.txt", b"content")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_is_removed_by_the_next(tmp_path):
    (tmp_path / ".out.abcdefgh.part" / "images").mkdir(parents=True)
    with new_folder(tmp_path / "out"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    check_free(tmp_path / "out")
    with new_folder(tmp_path / "out") as folder:
        folder.write("a.txt", b"content")
    assert (tmp_path / "out" / "a.txt").read_bytes() == b"content"


def test_a_link_to_an_empty_folder_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "out").symlink_to("there")
    with new_folder(tmp_path / "out") as folder:
        folder.write("a.txt", b"content")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "there" / "a.txt").exists()


@pytest.mark.parametrize("occupied", ["folder", "file"])
def test_what_is_there_is_not_written_over(tmp_path, occupied):
    out = tmp_path / "out"
    occupy(out, occupied)
    with pytest.raises(ConfigError, match=r"out: is there already and not an empty folder; name a new one"):
        check_free(out)


def test_a_mounted_file_system_cannot_be_replaced():
    with pytest.raises(ConfigError, match="name a new folder in it"):
        check_free(Path("/proc"))


@pytest.mark.parametrize("occupied", ["folder", "file"])
def test_what_came_there_in_the_meantime_stays(tmp_path, occupied):
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="nothing is written over"), new_folder(out) as folder:
        folder.write("a.txt", b"content")
        mine = occupy(out, occupied)
    assert mine.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_no_file_is_written_twice(tmp_path):
    with pytest.raises(DataError, match=r"^a.txt: two of the version's files"), new_folder(tmp_path / "out") as folder:
        folder.write("a.txt", b"content")
        folder.write("a.txt", b"other")


@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("train/good/000.png", "000-"),
        ("../../etc/passwd", "passwd-"),
        ("a/b c;$(x)ü.png", "b_c_x-"),
        ("part.png#defect_free", "part-"),
        ("x" * 300 + ".png", "x" * LONGEST_STEM + "-"),
        ("ü\n.png", ""),
        ("", ""),
    ],
)
def test_safe_names(path, start):
    name = safe_name(path)
    assert name.startswith(start)
    assert name.isascii()
    assert len(name) == len(start) + 12
    assert not set(name) & set("/\\. \n")


def test_names_of_other_paths_differ():
    paths = ["a/0.png", "b/0.png", "a/0.jpg", "a/0.png#defect_free", "a/0 .png"]
    assert len({safe_name(path) for path in paths}) == len(paths)
