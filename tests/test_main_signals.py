import signal
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys, time
from pathlib import Path
from pipeline_tasks import __main__ as command_line
from pipeline_tasks.commands import repro
from pipeline_tasks.storage import atomic_folder

def slow(stage: str) -> None:
    with atomic_folder(Path(stage)):
        print("writing", flush=True)
        time.sleep(60)

repro.repro = slow
sys.argv = ["defectline", "repro", sys.argv[1]]
command_line.main()
"""


def test_a_terminated_command_removes_its_temporary_files(tmp_path: Path):
    running = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    assert running.stdout and running.stdout.readline().strip() == "writing"
    assert any(tmp_path.iterdir())
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=30) == 128 + signal.SIGTERM
    assert not any(tmp_path.iterdir())
