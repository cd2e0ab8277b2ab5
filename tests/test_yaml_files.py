import pytest
import yaml

from pipeline_tasks.yaml_files import read_yaml, to_yaml


def test_text_that_looks_like_a_number_is_written_as_text(tmp_path):
    value = {"12e5": "1e3", "a": "007", "b": 1e-3}
    (tmp_path / "v.yaml").write_text(to_yaml(value))
    assert read_yaml(tmp_path / "v.yaml", "") == value
    assert '"' in to_yaml("1e3") or "'" in to_yaml("1e3")


@pytest.mark.parametrize("name", ["0893", "08", "0o17", "1_000", "1e5", "12", "0x1F", "1.5", "yes", "null", "part_7"])
def test_names_stay_text_for_dvc_too(name):
    from dvc.utils.serialize import parse_yaml

    text = to_yaml({name: {"product": name}})
    assert parse_yaml(text, "catalog.yaml") == {name: {"product": name}} == yaml.safe_load(text)
