from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from loadtest.scratch import scratch_folder

KILLED = "import os; from loadtest.scratch import scratch_folder\nwith scratch_folder(): os.kill(os.getpid(), 9)"


def test_the_folder_of_a_killed_process_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with scratch_folder() as mine:
        assert subprocess.run([sys.executable, "-c", KILLED], check=False).returncode == -9
        assert len(list(tmp_path.iterdir())) == 2
        with scratch_folder() as another:
            assert {*tmp_path.iterdir()} == {mine, another}
    assert list(tmp_path.iterdir()) == []
