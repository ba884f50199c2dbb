"""Run folders that cannot be made or read: one sentence each."""

from pathlib import Path

import numpy as np
import pytest

from loadtest.replay.journal import Journal
from loadtest.runfolder import RunFolder, create_run_folder, open_run_folder
from planner.cli.root import run
from planner.errors import InputError
from planner.model import Outcome
from planner.records import write_requests
from tests.loadtest.hand_made_run import log_of


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a readable JSON file"),
        ("[" * 100_000, "not a readable JSON file"),
        ('{"generator": NaN}', "NaN is not JSON"),
        ("{}", "books.planned is missing: not the summary of a replay"),
        ('{"books": {"planned": "x"}}', "books.planned is no int"),
        ("[]", "holds no JSON object"),
    ],
)
def test_a_summary_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    folder = RunFolder(tmp_path)
    folder.summary.write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        folder.read_summary()
    assert str(raised.value).startswith(f"{folder.summary}: ")


@pytest.mark.parametrize("column", ["sent_s", "finish_s"])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_times_that_an_outcome_does_not_allow(tmp_path: Path, column: str, outcome: Outcome) -> None:
    folder, log = RunFolder(tmp_path), log_of(Outcome.OK, outcome)
    write_requests(folder.requests, log)
    assert len(folder.read_requests()) == 2
    times = getattr(log, column)
    times[1] = 1.5 if np.isnan(times[1]) else np.nan
    write_requests(folder.requests, log)
    with pytest.raises(InputError, match=rf"requests.parquet: row 2 has {column} = {times[1]}, its outcome says else"):
        folder.read_requests()


def test_a_folder_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refused)  # root may enter any folder, and tests may run as root
    with pytest.raises(InputError, match=r"run: cannot be read \(Permission denied\)"):
        open_run_folder(tmp_path / "run")


@pytest.mark.parametrize("command", [["validate"], ["report"], ["calibrate"], ["compare"]])
def test_a_run_that_was_killed_is_named_with_what_recovers_it(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    for part in ("scenario.yaml", "schedule.parquet", "payloads.parquet"):
        (run_folder / part).write_text("x")
    journal = Journal(run_folder)
    arguments = [*command, str(run_folder), *([str(run_folder)] if command == ["compare"] else [])]
    assert run(arguments) == 2
    assert "the replay is still going on" in " ".join(capsys.readouterr().err.split())
    journal.close()
    assert run(arguments) == 2
    with pytest.raises(InputError) as raised:
        open_run_folder(run_folder)
    assert f"`surgeproof replay --recover {run_folder}`" in str(raised.value)
    assert "was killed before it wrote its results" in " ".join(capsys.readouterr().err.split())


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the name is not UTF-8"):
        create_run_folder("x", tmp_path / "a\udcff")
