"""What ends a run early: limits of requests and errors, a refused key. And retries, which have a limit too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtest.replay.credentials import CredentialSettings, Kind
from loadtest.replay.retry import RetryPolicy
from loadtest.replay.run import replay
from loadtest.replay.settings import ErrorLimit
from loadtest.runfolder import open_run_folder
from planner.errors import InputError
from planner.model import Outcome
from tests.loadtest.replay_runs import (
    KEY,
    Case,
    MakeFile,
    MakeScenario,
    MakeStub,
    Seen,
    folder_bytes,
    real_runs,
    run_cases,
    run_json,
    together,
    totals,
)

pytestmark = real_runs


THREE = RetryPolicy(max_attempts=3)
BUSY = {"cycle": ["503"], "retry_after": "0"}
SHORT = {"rps": 20, "duration": "1s"}

CASES = {
    "max requests": Case(stub={"delay_s": 0.1}, scenario={"rps": 60}, options={"max_requests": 25, "processes": 2}),
    "503s": Case(stub=BUSY, scenario={"rps": 80, "duration": "1s"}),
    "503s counted": Case(
        stub=BUSY,
        scenario={"rps": 80, "duration": "1s"},
        options={"errors": ErrorLimit(count_503s=True, is_default=False)},
    ),
    "retries": Case(
        stub={"cycle": ["503", "ok", "429", "500"], "again": "ok", "retry_after": "1"},
        scenario={"rps": 30, "duration": "2s"},
        options={"retry": THREE, "errors": ErrorLimit(max_fraction=1.0)},
    ),
    "retries in vain": Case(stub=BUSY, scenario=SHORT, options={"retry": THREE}),
    "retries and max requests": Case(stub=BUSY, scenario=SHORT, options={"retry": THREE, "max_requests": 13}),
    "retries in an hour": Case(stub=BUSY | {"retry_after": "3600"}, scenario=SHORT, options={"retry": RetryPolicy()}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("limits")
    (key := folder / "key").write_text(KEY)
    revoked = Case(
        stub={"key": KEY, "turn": [0.8, ["403"]]},
        scenario={"rps": 50, "duration": "20s"},
        options={"processes": 2, "credentials": CredentialSettings(kind=Kind.KEY_FILE, file=str(key))},
    )
    return run_cases(folder, CASES | {"revoked": revoked})


def test_a_limit_of_requests_ends_the_run(runs: dict[str, Seen]) -> None:
    seen = runs["max requests"]
    assert seen.result.exit_code == 4
    assert str(seen.result.message).startswith("Stopped by --max-requests. 25 of ")
    assert len(seen.record["arrivals"]) == 25
    planned = len(seen.result.requests)
    assert seen.books == {"planned": planned, "sent": 25, "ok": 25, "not_reached": planned - 25}
    assert seen.document["books"]["per_worker"]["sent"] == [13, 12], "each worker has its part of the limit"
    assert not seen.document["generator"]["valid"]


def test_a_plan_beyond_the_largest_rate_is_refused_before_anything_is_sent(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path
) -> None:
    server = stub()
    with pytest.raises(InputError, match=r"--max-rps 40: the replay would send up to 5\d requests in one second"):
        replay(scenario(rps=50), server.url, out=tmp_path / "run", max_rps=40)
    assert server.record()["connections"] == 0
    assert not (tmp_path / "run").exists()


def test_a_refused_key_stops_the_run(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURGEPROOF_ENDPOINT_KEY", "wrong-key")
    result = replay(scenario(rps=50, duration="20s"), stub(key=KEY).url, out=tmp_path / "run")
    assert result.exit_code == 3
    assert "(1 x HTTP 401)" in str(result.message)
    assert "refuses the key in SURGEPROOF_ENDPOINT_KEY" in str(result.message)
    assert "wrong-key" not in str(result.message)
    assert result.document["books"]["sent"] < 50
    totals(result.document)
    assert open_run_folder(result.folder.path).read_summary()["ended"] == "unauthorized"
    assert b"wrong-key" not in folder_bytes(result.folder.path)


def test_a_key_that_is_revoked_during_the_run_stops_it(runs: dict[str, Seen]) -> None:
    """One worker meets the first 403; the other is told to stop, for half of a plan measures nothing."""
    seen = runs["revoked"]
    assert (seen.document["ended"], seen.result.exit_code) == ("unauthorized", 3)
    assert "HTTP 403" in str(seen.result.message)
    assert "the endpoint refuses the key of --key-file" in str(seen.result.message)
    assert seen.books["ok"] > 20
    assert 1 <= seen.books["other_4xx"] <= 25
    assert seen.books["not_reached"] > 800


def test_errors_above_the_limit_end_the_run(stub: MakeStub, scenario_file: MakeFile, tmp_path: Path) -> None:
    """A stop by the user's own limit is 4, by the default one 3: nobody had set that."""
    path = scenario_file(rps=80, duration="30s")

    def run_into(name: str, cycle: list[str], options: tuple[str, ...], exit_code: int, limit: str) -> None:
        server = stub(cycle=cycle)
        code, document, stderr = run_json("replay", path, "--url", server.url, "--out", tmp_path / name, *options)
        assert (code, document["exit_code"], document["ended"]) == (exit_code, exit_code, "error_rate")
        assert "HTTP 500; 503s are not counted; the limit is " + limit in document["message"]
        assert document["message"] in " ".join(stderr.split())
        books = totals(document)
        assert 49 <= books["sent"] <= 120
        assert books["sent"] == len(server.record()["arrivals"])
        assert books["not_reached"] == books["planned"] - books["sent"]

    together(
        lambda: run_into("default", ["500", "503"], (), 3, "50 %"),
        lambda: run_into("user", ["500", "503", "ok", "ok"], ("--stop-at-errors", "20%"), 4, "20 %"),
    )


def test_503s_are_what_is_measured_and_no_errors_unless_asked(runs: dict[str, Seen]) -> None:
    seen = runs["503s"]
    assert seen.document["ended"] == "complete"
    assert seen.books["status_503"] == seen.books["planned"] == len(seen.record["arrivals"])
    seen = runs["503s counted"]
    assert (seen.document["ended"], seen.result.exit_code) == ("error_rate", 4)
    assert "HTTP 503; the limit is 50 %)" in str(seen.result.message)
    assert seen.books["status_503"] < seen.books["planned"]


def test_a_client_that_retries_follows_retry_after_and_is_counted_apart(runs: dict[str, Seen]) -> None:
    seen = runs["retries"]
    n = len(seen.result.requests)
    kind = np.arange(n) % 4
    n_503, n_429 = int(np.sum(kind == 0)), int(np.sum(kind == 2))
    books = seen.books
    assert (books["planned"], books["sent"], books["status_503"], books["status_429"]) == (n, n, n_503, n_429)
    assert seen.document["observed"]["fraction_503"] == pytest.approx(n_503 / n), "of the first attempts"
    retries = seen.document["retries"]
    assert retries["attempts"] == retries["requests_retried"] == n_503 + n_429
    assert retries["outcomes"] == {"ok": n_503 + n_429}
    assert retries["fraction_503_for_a_client_that_retries"] == 0.0
    arrivals = np.array(seen.record["arrivals"])
    assert len(arrivals) == n + n_503 + n_429
    for index in np.flatnonzero(kind == 0):
        first_s, again_s = arrivals[arrivals[:, 0] == index, 1]
        assert 1.0 <= again_s - first_s < 1.3, "as Retry-After says"
    assert np.all(seen.result.requests.outcome[kind == 0] == Outcome.STATUS_503)


def test_retries_end_after_their_attempts(runs: dict[str, Seen]) -> None:
    seen = runs["retries in vain"]
    n = len(seen.result.requests)
    assert seen.books == {"planned": n, "sent": n, "status_503": n}
    assert seen.document["retries"]["attempts"] == 2 * n
    assert seen.document["retries"]["fraction_503_for_a_client_that_retries"] == 1.0
    assert len(seen.record["arrivals"]) == 3 * n


def test_retries_count_for_the_limit_of_requests(runs: dict[str, Seen]) -> None:
    """They may reach it while the dispatcher waits for its next deadline."""
    seen = runs["retries and max requests"]
    assert len(seen.record["arrivals"]) == 13
    assert seen.books["sent"] + seen.document["retries"]["attempts"] == 13
    assert (seen.document["ended"], seen.result.exit_code) == ("max_requests", 4)


def test_a_wait_that_nobody_waits_is_no_retry(runs: dict[str, Seen]) -> None:
    seen = runs["retries in an hour"]
    assert seen.document["retries"]["attempts"] == 0
    assert len(seen.record["arrivals"]) == seen.books["sent"]
