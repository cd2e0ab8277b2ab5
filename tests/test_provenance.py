import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import rows

from pipeline_tasks.manifest import read_manifest
from pipeline_tasks.provenance import PACKAGE, code_revision, row_digest, sealed
from pipeline_tasks.schema import PIXEL_COLUMNS, Pair, arrow_schema
from pipeline_tasks.storage import PARTIAL, write_rows

COLUMNS = [name for name in arrow_schema(Pair).names if name not in PIXEL_COLUMNS]
PAIR = rows.pair(reference="base/pit/000.png", fused_with=[3, 4], product_scale=1.0, defect_scale=1.5, agreement=0.25)


def values_of(pair):
    return {name: getattr(pair, name) for name in COLUMNS}


def git(folder, *arguments):
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "core.excludesFile=/dev/null", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def folder(tmp_path):
    """A folder in a git repository, all of it in its first commit."""
    contents = {
        "a.py": "a file that sorts between two folders\n",
        "a/b/c/deep.py": "x = 1\n",
        "a-b/data.yaml": "",
        "a0": "no suffix",
        "run": "#!/bin/sh\n",
        "an odd – näme \"quoted\" 'n' $more.txt": "ü\r\n",
        "tab\there": "\0binary\n",
    }
    root = tmp_path / "repository"
    for name, content in contents.items():
        path = root / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    (root / "package/run").chmod(0o755)
    (root / "package/a0").chmod(0o600)
    (root / "package/link").symlink_to("a/b")
    git(tmp_path, "init", "--quiet", "repository")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "Begin")
    return root / "package"


@pytest.fixture(autouse=True)
def forget():
    """Let every test read its folders anew."""
    code_revision.cache_clear()


class TestCodeRevision:
    def test_it_is_the_tree_of_the_commit(self, folder):
        assert code_revision(folder) == git(folder.parent, "rev-parse", "HEAD:package")
        root = folder.parent
        assert code_revision(root) == git(root, "write-tree") == git(root, "rev-parse", "HEAD^{tree}")

    def test_what_git_does_not_keep_does_not_count(self, folder):
        before = code_revision(folder)
        for name in ("__pycache__/a.cpython-311.pyc", "a/b.pyc", ".hidden", f"a/.deep.py.abc{PARTIAL}", ".x/y.py"):
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("anything")
        (folder / "empty/too").mkdir(parents=True)
        code_revision.cache_clear()
        assert code_revision(folder) == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda folder: (folder / "a/b/c/deep.py").write_text("x = 2\n"),
            lambda folder: (folder / "a/b/c/deep.py").rename(folder / "a/b/c/other.py"),
            lambda folder: (folder / "a.py").chmod(0o755),
            lambda folder: (folder / "new.html").write_text(""),
            lambda folder: (folder / "a0").unlink(),
        ],
    )
    def test_any_change_gives_another_one_as_git_does(self, folder, change):
        before = code_revision(folder)
        change(folder)
        code_revision.cache_clear()
        git(folder.parent, "add", ".")
        tree = git(folder.parent, "write-tree", "--prefix=package/")
        assert code_revision(folder) == tree != before

    def test_a_process_reads_a_folder_once(self, folder):
        before = code_revision(folder)
        (folder / "a.py").write_text("changed while it runs\n")
        assert code_revision(folder) == before

    def test_a_copy_elsewhere_is_the_same_code(self, folder, tmp_path):
        git(tmp_path, "clone", "--quiet", "repository", "copy")
        assert code_revision(tmp_path / "copy/package") == code_revision(folder)


class TestSeal:
    @pytest.mark.parametrize("column", [name for name in COLUMNS if name != "row_sha256"])
    def test_a_change_of_any_column_breaks_it(self, column):
        value = getattr(PAIR, column)
        assert value is not None
        changed = {str: lambda: value + "x", list: lambda: [*value, 1], bool: lambda: not value}
        other = changed.get(type(value), lambda: value + 1)()
        assert row_digest(values_of(PAIR) | {column: other}) != PAIR.row_sha256

    @pytest.mark.parametrize(("column", "empty"), [("reference", ""), ("agreement", 0.0)])
    def test_nothing_is_another_value_than_zero_or_an_empty_text(self, column, empty):
        assert len({row_digest(values_of(PAIR) | {column: value}) for value in (None, empty)}) == 2

    def test_the_least_change_of_a_float_breaks_it(self):
        near = PAIR.alignment + sys.float_info.epsilon / 2
        assert near != PAIR.alignment and row_digest(values_of(PAIR) | {"alignment": near}) != PAIR.row_sha256

    def test_pixels_and_the_seal_itself_are_not_under_it(self):
        assert sealed(replace(PAIR, image=b"", mask=b"", normal=b"", row_sha256="")).row_sha256 == PAIR.row_sha256

    def test_it_holds_for_what_is_read_back(self, tmp_path):
        """Whole numbers in columns of floats come back as floats."""
        pair = rows.pair(alpha=0, warp=[1, 0, 0, 0, 1, 0], prompt="Prüfling „a“ \ud7ff", appearance_code=[0.1, -0.0])
        write_rows(tmp_path / "pairs.parquet", [pair], Pair)
        (row,) = read_manifest([tmp_path / "pairs.parquet"], Pair).to_pylist()
        assert row_digest(row) == row["row_sha256"] == pair.row_sha256

    def test_anyone_can_compute_it(self):
        """With what the module's docstring says."""
        row = values_of(PAIR)
        del row["row_sha256"]
        told = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        assert hashlib.sha256(told.encode("ascii")).hexdigest() == PAIR.row_sha256


def test_it_is_light_to_import():
    program = "import sys, pipeline_tasks.provenance; print({'torch', 'dvc', 'git'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], cwd=PACKAGE.parent, text=True) == "set()\n"
