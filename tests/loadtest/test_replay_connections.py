"""The connections of a worker: every kind of answer, every way in which a connection ends, in the books as it was."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from loadtest.replay.run import replay
from loadtest.replay.segment import Broken
from loadtest.replay.settings import ErrorLimit
from planner.model import Outcome
from tests.loadtest.replay_runs import Case, MakeScenario, MakeStub, Seen, real_runs, run_cases, totals

pytestmark = real_runs

EXPECTED = {
    "ok": Outcome.OK,
    "chunked": Outcome.OK,
    "close": Outcome.OK,
    "close_quietly": Outcome.OK,
    "pieces": Outcome.OK,
    "continue": Outcome.OK,
    "no_length": Outcome.OK,
    "big": Outcome.OK,
    "503": Outcome.STATUS_503,
    "503-bare": Outcome.STATUS_503,
    "504": Outcome.STATUS_504,
    "429": Outcome.STATUS_429,
    "418": Outcome.OTHER_4XX,
    "500": Outcome.OTHER_5XX,
    "302": Outcome.OTHER_STATUS,
    "201": Outcome.OTHER_STATUS,
    "garbage": Outcome.BAD_RESPONSE,
    "long_head": Outcome.BAD_RESPONSE,
    "bad_json": Outcome.BAD_RESPONSE,
    "empty": Outcome.BAD_RESPONSE,
    "reset": Outcome.CONNECTION_ERROR,
    "half": Outcome.CONNECTION_ERROR,
    "hang": Outcome.TIMEOUT,
}

BODY = '{"request": {{ request }}, "text": "{% for i in range(SIZE) %}0123456789abcdef{% endfor %}"}'
SIZES = (1020, 30_000)
"""Times 16 bytes: 16 KB is what the dispatcher writes itself."""


def with_body(size: int) -> Case:
    more = f"request: {{template_text: '{BODY.replace('SIZE', str(size))}'}}\n"
    return Case(stub={"cycle": ["ok", "big"]}, scenario={"rps": 30, "duration": "1s", "more": more})


REGULAR = {"arrivals": "regular", "duration": "2s"}

CASES = {
    "every kind": Case(
        stub={"cycle": list(EXPECTED), "delay_s": 0.01},
        scenario=REGULAR | {"rps": 110, "scoring_timeout_ms": "300"},
        options={"errors": ErrorLimit(max_fraction=1.0)},
    ),
    **{f"body {size}": with_body(size) for size in SIZES},
    "closed while idle": Case(stub={"close_idle_s": 0.06}, scenario=REGULAR | {"rps": 8}),
    "broken when used": Case(
        stub={"cycle": ["ok", "reset", "ok", "ok"], "delay_s": 0.01}, scenario=REGULAR | {"rps": 40}
    ),
    "max in flight": Case(stub={"delay_s": 0.5}, scenario={"rps": 60}, options={"max_in_flight": 10}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    return run_cases(tmp_path_factory.mktemp("connections"), CASES)


def test_every_kind_of_answer_has_its_place_in_the_books(runs: dict[str, Seen]) -> None:
    seen = runs["every kind"]
    log, cycle = seen.result.requests, list(EXPECTED)
    kinds = [cycle[i % len(cycle)] for i in range(len(log))]
    wrong = Counter(
        (kind, Outcome(o).name) for kind, o in zip(kinds, log.outcome, strict=True) if Outcome(o) is not EXPECTED[kind]
    )
    assert not wrong
    assert len(seen.record["arrivals"]) == len(kinds), "nothing is sent twice"
    assert seen.record["paths"] == ["/api/v1/service/stub/score"], "no redirect is followed"
    assert seen.books["sent"] == len(kinds)
    observed = seen.document["observed"]
    n_503 = sum(kind.startswith("503") for kind in kinds)
    assert observed["fraction_503"] == pytest.approx(n_503 / len(kinds))
    assert observed["flagged_503"] == kinds.count("503-bare")


def test_what_a_connection_did_is_told_and_timed(runs: dict[str, Seen]) -> None:
    result = runs["every kind"].result
    took_s = result.requests.finish_s - result.requests.sent_s
    of = np.array([list(EXPECTED)[i % len(EXPECTED)] for i in range(len(took_s))])
    assert np.all((took_s[of == "hang"] > 0.59) & (took_s[of == "hang"] < 0.75)), "wait limit + scoring timeout + slack"
    assert set(result.seen.status[of == "half"]) == {-Broken.CLOSED}
    assert set(result.seen.status[of == "reset"]) == {-Broken.RESET}
    assert not result.seen.flagged[of == "half"].any(), "bytes had come: the request was being answered"
    assert np.all(took_s[of == "pieces"] > 0.012), "the last byte ends an answer"
    assert set(result.seen.status[of == "continue"]) == {200}


@pytest.mark.parametrize("size", SIZES)
def test_bodies_larger_than_a_socket_buffer_go_both_ways(runs: dict[str, Seen], size: int) -> None:
    """A larger body leaves in a greenlet, which may wait for the buffer."""
    seen = runs[f"body {size}"]
    n = len(seen.result.requests)
    assert seen.books == {"planned": n, "sent": n, "ok": n}
    sizes = {16 * size + len(f'{{"request": {i}, "text": ""}}') for i in (0, 10)}
    assert set(seen.record["sizes"]) == sizes, "all of each body has arrived"


def test_connections_that_the_endpoint_closes_while_idle_are_not_used(runs: dict[str, Seen]) -> None:
    """Their end is seen when it comes: no request is lost on them, and no error is one of the client's making."""
    seen = runs["closed while idle"]
    n = len(seen.result.requests)
    assert seen.books == {"planned": n, "sent": n, "ok": n}
    assert seen.document["observed"]["flagged_connection_errors"] == 0
    assert seen.record["connections"] >= n, "each was gone when its next request came"


def test_a_connection_that_breaks_on_its_next_request_is_flagged(runs: dict[str, Seen]) -> None:
    """The endpoint may have closed it just before: nobody can know whether the request was seen."""
    seen = runs["broken when used"]
    log, flagged = seen.result.requests, seen.result.seen.flagged
    reset = np.arange(len(log)) % 4 == 1
    assert np.array_equal(log.outcome == Outcome.CONNECTION_ERROR, reset), "and it is not sent again"
    assert flagged[reset].mean() > 0.5, "those on connections that had been used"
    assert not flagged[~reset].any()
    assert seen.document["observed"]["flagged_connection_errors"] == flagged.sum()
    assert len(seen.record["arrivals"]) == len(log)


def test_requests_beyond_the_limit_in_flight_are_counted(runs: dict[str, Seen]) -> None:
    seen = runs["max in flight"]
    books = seen.books
    assert books["dropped_max_inflight"] > 40
    assert books["sent"] + books["dropped_max_inflight"] == books["planned"]
    assert seen.document["generator"]["max_in_flight"] == 10
    assert seen.result.exit_code == 3
    assert "dropped because the limit" in str(seen.result.message)
    assert seen.record["connections"] <= 12, "10, and what looked whether it is there and a lab"


def test_beyond_1024_sockets_connections_are_kept(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    """select() cannot see descriptors from 1024 up; a pool that uses it takes each such socket for dead and redials."""
    server = stub(delay_s=1.5)
    result = replay(scenario(rps=1000, duration="3s", arrivals="regular"), server.url, out=tmp_path / "run")
    books = totals(result.document)
    in_flight = result.document["generator"]["max_in_flight"]
    assert books["ok"] > 2900
    assert in_flight > 1200
    assert server.record()["connections"] < in_flight + 200, "thousands if sockets beyond 1,024 were redialled"


def test_tls_sockets_are_kept_alive(
    stub: MakeStub,
    scenario: MakeScenario,
    tmp_path: Path,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    server = stub(delay_s=0.02, tls=[str(path) for path in certificate], cycle=["ok", "big", "pieces", "chunked"])
    result = replay(scenario(rps=60), server.url, out=tmp_path / "run")
    assert result.document["books"]["ok"] == len(result.requests)
    client = result.document["client"]
    assert client["connections_opened"] == client["sockets_warmed"], "session tickets are not taken for an end"
