from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipeline_tasks.commands.sample import sample
from pipeline_tasks.sample import product


def test_the_command_says_what_it_drew_and_then_that_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product, "FEW_SHOT", product.Counts(train_good=1, test_good=0, per_defect=0))
    app = typer.Typer()
    app.command()(sample)
    call = [str(tmp_path / "plate"), "--seed", "3"]
    first, second = CliRunner().invoke(app, call), CliRunner().invoke(app, call)
    assert first.exit_code == second.exit_code == 0
    assert "drew the 1 images of seed 3" in first.stdout
    assert "nothing to do" in second.stdout
    assert (tmp_path / "plate/train/good/000.png").is_file()
