"""How a run ended, and what it supports: word, sentence, exit code, from what its processes left in the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from loadtest.replay.conclude import conclude, recover
from loadtest.replay.ending import ending, note_sentence
from loadtest.replay.journal import JOURNAL
from loadtest.replay.merge import WorkerNote
from loadtest.replay.segment import Broken, EndReason, Note
from loadtest.replay.settings import ErrorLimit, ReplaySettings
from loadtest.runfolder import open_run_folder
from planner.errors import InputError
from planner.model import Outcome
from planner.scenario import Scenario
from tests.loadtest.observed_log import observed_log
from tests.loadtest.recorded_run import record
from tests.loadtest.test_replay_statistics import run_of

MakeScenario = Callable[..., Scenario]
SETTINGS = ReplaySettings(url="http://127.0.0.1/score", timeout_s=6.0)
USERS = ReplaySettings(url="http://127.0.0.1/score", timeout_s=6.0, errors=ErrorLimit(is_default=False))


@pytest.mark.parametrize(
    ("ended", "settings", "interrupted", "word", "exit_code"),
    [
        (EndReason.COMPLETE, SETTINGS, False, "complete", 0),
        (EndReason.COMPLETE, SETTINGS, True, "interrupted", 130),
        (EndReason.STOPPED, SETTINGS, True, "interrupted", 130),
        (EndReason.STOPPED, SETTINGS, False, "stopped", 3),
        (EndReason.MAX_REQUESTS, SETTINGS, False, "max_requests", 4),
        (EndReason.UNAUTHORIZED, SETTINGS, False, "unauthorized", 3),
        (EndReason.ENDPOINT_LOST, SETTINGS, False, "endpoint_lost", 3),
        (EndReason.LOG_UNWRITABLE, SETTINGS, False, "log_unwritable", 3),
        (EndReason.ERROR_RATE, SETTINGS, False, "error_rate", 3),
        (EndReason.ERROR_RATE, USERS, False, "error_rate", 4),
        (EndReason.CRASHED, SETTINGS, False, "crashed", 3),
        (None, SETTINGS, False, "worker_lost", 3),
    ],
)
def test_every_ending_has_its_word_and_code(
    ended: EndReason | None, settings: ReplaySettings, interrupted: bool, word: str, exit_code: int
) -> None:
    seen = observed_log(run_of([Outcome.OK] * 4).log, ends={0: ended})
    end = ending(seen, settings, {}, interrupted=interrupted)
    assert (end.word, end.exit_code) == (word, exit_code)
    assert (end.message is None) == (exit_code == 0)
    if end.message is not None:
        assert end.message.endswith("4 of 4 requests were sent; what was measured is kept.")


def test_a_killed_worker_among_others_is_named() -> None:
    seen = observed_log(run_of([Outcome.OK] * 6).log, ends={0: EndReason.COMPLETE, 1: None, 2: None})
    assert str(ending(seen, SETTINGS, {}, interrupted=False).message).startswith("Replay worker 1, 2 was killed")


@pytest.mark.parametrize(
    ("ended", "status", "problems", "words"),
    [
        (EndReason.UNAUTHORIZED, 401, {0: "HTTP 401: the endpoint refuses the key"}, ["HTTP 401", "refuses the key"]),
        (EndReason.UNAUTHORIZED, 403, {}, ["1 x HTTP 403"]),
        (EndReason.LOG_UNWRITABLE, 0, {1: "No space left on device"}, ["(No space left on device)"]),
        (EndReason.CRASHED, 0, {0: "ZeroDivisionError: oh"}, ["ZeroDivisionError: oh"]),
        (EndReason.ENDPOINT_LOST, -Broken.REFUSED, {}, ["was lost", "(in all 1 x connection refused)"]),
    ],
)
def test_the_sentence_says_what_happened(
    ended: EndReason, status: int, problems: dict[int, str], words: list[str]
) -> None:
    outcomes = [Outcome.CONNECTION_ERROR if status < 0 else Outcome.OTHER_4XX, Outcome.OK]
    seen = observed_log(run_of(outcomes).log, status=np.array([status, 200]), ends={0: ended})
    message = str(ending(seen, SETTINGS, problems, interrupted=False).message)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(("count_503s", "errors", "hint"), [(False, 3, "; 503s are not counted"), (True, 5, "")])
def test_a_stop_because_of_errors_tells_the_window_and_the_limit(count_503s: bool, errors: int, hint: str) -> None:
    outcomes = [Outcome.OTHER_5XX] * 5 + [Outcome.STATUS_503] * 2 + [Outcome.OK] * 5 + [Outcome.OTHER_5XX] * 3
    run = run_of(outcomes, statuses={Outcome.OTHER_5XX: 500, Outcome.STATUS_503: 503})
    seen = observed_log(run.log, status=run.status, ends={0: EndReason.ERROR_RATE})
    limit = ErrorLimit(max_fraction=0.3, window_s=9.0, count_503s=count_503s)
    settings = ReplaySettings(url="http://127.0.0.1/score", timeout_s=6.0, errors=limit)
    kinds = "3 x HTTP 500, 2 x HTTP 503" if count_503s else "3 x HTTP 500"
    assert f"{errors} of the 10 answers of the last 9 s ({kinds}{hint}; the limit is 30 %)" in str(
        ending(seen, settings, {}, interrupted=False).message
    )


@pytest.mark.parametrize(
    ("note", "amount_s", "words"),
    [
        (Note.CLOCK_STEP, 3.0, "worker 1: the wall clock was set forward by 3 s at 7.5 s."),
        (Note.CLOCK_STEP, -0.25, "worker 1: the wall clock was set back by 0.25 s at 7.5 s."),
        (Note.STALL, 2.04, "worker 1 stood still for 2 s at 7.5 s"),
    ],
)
def test_what_a_worker_noticed_is_a_sentence(note: Note, amount_s: float, words: str) -> None:
    assert note_sentence(WorkerNote(worker=1, note=note, at_s=7.5, amount_s=amount_s)).startswith(words)


def test_a_lagging_generator_supports_no_verdict(scenario: MakeScenario, tmp_path: Path) -> None:
    plan = scenario(duration="9s")
    result = conclude(record(tmp_path / "run", plan, [Outcome.OK] * 9, late_s=0.3), plan)
    assert result.exit_code == 3
    assert "supports no verdict" in str(result.message)
    assert not result.document["generator"]["valid"]


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        (Outcome.OTHER_4XX, 404, "12 of 12 requests (100 %) ended in another way than 200, 503 or 504 (12 x HTTP 404)"),
        (Outcome.OTHER_5XX, 500, "12 x HTTP 500)"),
        (Outcome.CONNECTION_ERROR, -Broken.RESET, "12 x connection reset)"),
        (Outcome.TIMEOUT, 0, "12 x timeout)"),
        (Outcome.BAD_RESPONSE, 0, "12 x an answer that is not HTTP)"),
        (Outcome.UNRESOLVED, 0, "No request that counts has an answer"),
    ],
)
def test_a_replay_that_observed_nothing_is_no_success(
    scenario: MakeScenario, tmp_path: Path, outcome: Outcome, status: int, words: str
) -> None:
    plan = scenario(duration="12s")
    result = conclude(record(tmp_path / "run", plan, [outcome] * 12, statuses={outcome: status}), plan)
    assert result.exit_code == 3
    assert words in str(result.message)


@pytest.mark.parametrize(("errors", "problems"), [(0, 0), (2, 0), (3, 1)])
def test_answers_that_the_model_does_not_know_are_a_problem_beyond_1_percent(
    scenario: MakeScenario, tmp_path: Path, errors: int, problems: int
) -> None:
    plan = scenario(duration="200s")
    outcomes = [Outcome.OK] * (200 - errors) + [Outcome.OTHER_5XX] * errors
    result = conclude(record(tmp_path / "run", plan, outcomes, statuses={Outcome.OTHER_5XX: 500}), plan)
    assert result.exit_code == 0, "the endpoint was measured; only a verdict on the model would be out of place"
    warnings = result.document["warnings"]
    assert len(warnings) == len(result.document["observed"]["problems"]) == problems
    assert all("3 of 200 requests (1.5 %)" in warning for warning in warnings)


@pytest.mark.parametrize(("drift_s", "warned"), [(0.004, False), (-0.0061, True)])
def test_a_clock_that_drifted_is_a_warning(
    scenario: MakeScenario, tmp_path: Path, drift_s: float, warned: bool
) -> None:
    plan = scenario(duration="20s")
    ended = {"worker": 1, "ended": "complete", "clock_drift_s": drift_s}
    folder = record(
        tmp_path / "run", plan, [Outcome.OK] * 20, ends=[EndReason.COMPLETE] * 2, entries=[("worker_ended", ended)]
    )
    result = conclude(folder, plan)
    expected = ["worker 1: its clock drifted by -6.1 ms during the run"] if warned else []
    assert (result.exit_code, result.document["warnings"]) == (0, expected)


def test_recovering_gives_what_the_run_itself_would_have_given(scenario: MakeScenario, tmp_path: Path) -> None:
    plan = scenario(duration="12s")
    outcomes: list[Outcome | None] = [Outcome.OK, Outcome.STATUS_503, Outcome.TIMEOUT, None] * 3
    documents = []
    for name, finish in (("a", lambda folder: conclude(folder, plan)), ("b", lambda folder: recover(folder.path))):
        folder = record(tmp_path / name, plan, outcomes, ends=[EndReason.STOPPED, None])
        documents.append({k: v for k, v in finish(folder).document.items() if k not in ("run", "provenance")})
        assert not list(folder.path.glob("*.segment"))
        assert not (folder.path / JOURNAL).exists()
        assert len(open_run_folder(folder.path).read_requests()) == 12
    assert documents[0] == documents[1]
    assert documents[0]["ended"] == "worker_lost"
    assert documents[0]["books"]["per_worker"]["unaccounted"] == [0, 3]


def test_recovering_with_a_torn_last_line_of_the_journal(scenario: MakeScenario, tmp_path: Path) -> None:
    plan = scenario(duration="4s")
    folder = record(tmp_path / "run", plan, [Outcome.OK] * 4, ends=[None], entries=[("row", [1.0, 2, 2, 0, 0, 0])])
    journal = folder.path / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-9])
    result = recover(folder.path)
    assert (result.document["ended"], result.document["books"]["ok"]) == ("worker_lost", 4)


def test_recovering_before_the_start_finds_nothing_sent(scenario: MakeScenario, tmp_path: Path) -> None:
    """The processes were killed while they armed."""
    plan = scenario(duration="4s")
    folder = record(tmp_path / "run", plan, [None] * 4, ends=[None])
    journal = folder.path / JOURNAL
    journal.write_text(journal.read_text().splitlines(keepends=True)[0])
    result = recover(folder.path)
    assert result.document["books"]["not_reached"] == 4
    assert result.exit_code == 3


def test_what_cannot_be_recovered_is_said_in_a_sentence(scenario: MakeScenario, tmp_path: Path) -> None:
    plan = scenario(duration="4s")
    folder = record(tmp_path / "run", plan, [Outcome.OK] * 4, ends=[None])
    recover(folder.path)
    with pytest.raises(InputError, match=r"--recover .*/run: this run is complete, there is nothing to recover"):
        recover(folder.path)
    with pytest.raises(InputError, match=r"--recover .*/nowhere: no such run folder"):
        recover(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"/empty"):
        recover(tmp_path / "empty")
    broken = record(tmp_path / "broken", plan, [Outcome.OK] * 4, ends=[None])
    (broken.path / JOURNAL).write_text('{"row": 1}\n')
    with pytest.raises(InputError, match=r"journal\.jsonl: does not say what was planned"):
        recover(broken.path)
    mixed = record(tmp_path / "mixed", plan, [Outcome.OK] * 5, ends=[None])
    (mixed.path / "worker-0.segment").write_bytes(b"x" * 500)
    with pytest.raises(InputError, match=r"worker-0\.segment: not a segment of a replay"):
        recover(mixed.path)
    assert (mixed.path / JOURNAL).exists(), "what there is stays"


def test_damaged_records_are_a_sentence_and_stay_where_they_are(scenario: MakeScenario, tmp_path: Path) -> None:
    """Each byte of the last records in turn, and entries of the journal that nobody would write."""
    outcomes = [Outcome.OK] * 6
    folder = record(tmp_path / "run", scenario(), outcomes)
    segment, journal = folder.segments()[0], folder.path / JOURNAL
    sound, lines = segment.read_bytes(), journal.read_text()
    damaged = [sound[:-i] + bytes([sound[-i] ^ 0xFF]) + sound[len(sound) - i + 1 :] for i in range(1, 120)]
    refused = 0
    for content in damaged:
        segment.write_bytes(content)
        if words := refusal(folder.path):
            refused += 1
            assert "damaged" in words
            assert segment.read_bytes() == content
        else:  # a time or a status that could be
            journal.write_text(lines)
    assert refused > 20
    segment.write_bytes(sound)
    for entry in ('{"armed": 1}', '{"worker_ended": null}', '{"lab": [1]}'):
        journal.write_text(f"{lines}{entry}\n")
        assert "damaged" in str(refusal(folder.path))


def refusal(path: Path) -> str | None:
    """What recovering a folder says against it."""
    try:
        recover(path)
    except InputError as error:
        return str(error)
    return None
