import pytest
import yaml

from pipeline_tasks.errors import DataError
from pipeline_tasks.lineage.lock_file import outputs_of, parsed, read_entries, write_entries


def test_what_dvc_wrote_comes_apart_and_together_to_the_byte(refreshed):
    text = (refreshed / "dvc.lock").read_text()
    entries, stages = read_entries(refreshed), yaml.safe_load(text)["stages"]
    assert {name: parsed(entry) for name, entry in entries.items()} == stages
    assert [*entries] == [*stages]
    (out,) = stages["ingest@plate"]["outs"]
    assert outputs_of(entries["ingest@plate"]) == {out["path"]: out["md5"]}
    write_entries(refreshed, entries)
    assert (refreshed / "dvc.lock").read_text() == text


def test_entries_with_folded_commands_and_parameters_are_kept(tmp_path):
    text = """\
schema: '2.0'
stages:
  ingest@plate:
    cmd: 'defectline ingest --product plate --raw "a: b" --layout mvtec --base data/base/plate

      --test data/test/plate'
    params:
      params.yaml:
        run:
          seed: 1e-05
  validate:
    cmd: x
"""
    (tmp_path / "dvc.lock").write_text(text)
    entries = read_entries(tmp_path)
    assert [*entries] == ["ingest@plate", "validate"]
    write_entries(tmp_path, {"validate": entries["validate"]})
    assert (tmp_path / "dvc.lock").read_text() == "schema: '2.0'\nstages:\n  validate:\n    cmd: x\n"


def test_no_lock_has_no_entries(tmp_path):
    assert read_entries(tmp_path) == {}


def test_a_lock_that_dvc_has_not_written_is_refused(tmp_path):
    (tmp_path / "dvc.lock").write_text("stages: {ingest@plate: {cmd: x}}\n")
    with pytest.raises(DataError, match="not as DVC writes it"):
        read_entries(tmp_path)
