"""An endpoint that misbehaves, before or during a run: the books balance and one sentence names what happened."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadtest.replay import endpoint
from loadtest.replay.run import replay
from loadtest.runfolder import open_run_folder
from planner.errors import InputError
from tests.loadtest.conftest import make_certificate
from tests.loadtest.replay_runs import At, Case, MakeScenario, MakeStub, Seen, real_runs, run, run_cases, totals

pytestmark = [*real_runs, pytest.mark.long]


@dataclass(frozen=True)
class Fault:
    """An endpoint's settings, and what has to be said of a run against it."""

    settings: dict[str, Any]
    ended: str
    words: str
    exit_code: int = 3
    duration: str = "60s"


FAULTS = {
    "goes away": Fault({"delay_s": 0.02, "close_after_s": 0.5}, "endpoint_lost", "x connection refused"),
    "resets": Fault({"cycle": ["reset"]}, "endpoint_lost", "x connection reset"),
    "ends in the middle": Fault({"cycle": ["half"]}, "endpoint_lost", "x connection closed before the answer"),
    "hangs": Fault({"cycle": ["hang"]}, "error_rate", "x timeout"),
    "answers garbage": Fault({"cycle": ["garbage"]}, "error_rate", "x an answer that is not HTTP"),
    "answers no JSON": Fault({"cycle": ["bad_json"]}, "error_rate", "x HTTP 200 with a bad body"),
    "redirects": Fault({"cycle": ["302"]}, "error_rate", "x HTTP 302"),
    "closes after each answer": Fault({"cycle": ["close_quietly", "close"]}, "complete", "", 0, "1s"),
    "asks to come back": Fault({"cycle": ["503"], "retry_after": "1"}, "complete", "", 0, "1s"),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """One run against each faulty endpoint."""
    scenario = {"rps": 60, "scoring_timeout_ms": "200"}
    cases = {
        name: Case(stub=fault.settings, scenario=scenario | {"duration": fault.duration})
        for name, fault in FAULTS.items()
    }
    return run_cases(tmp_path_factory.mktemp("faults"), cases)


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_fault_during_the_run_is_named(faulty: dict[str, Seen], name: str) -> None:
    fault, seen = FAULTS[name], faulty[name]
    document, books = seen.document, seen.books
    arrived = len(seen.record["arrivals"])
    assert document["ended"] == fault.ended
    assert fault.words in str(document["message"])
    if fault.exit_code:
        assert seen.result.exit_code == fault.exit_code
        assert books["not_reached"] > 2500
        assert arrived <= books["sent"] < 900
        assert str(document["message"]).endswith("requests were sent; what was measured is kept.")
    else:
        assert books["sent"] == books["planned"]
        assert arrived == books["sent"] - books.get("connection_error", 0)
    assert len(open_run_folder(seen.result.folder.path).read_requests()) == books["planned"]


def test_what_was_answered_before_the_endpoint_went_away_is_kept(faulty: dict[str, Seen]) -> None:
    books = faulty["goes away"].books
    assert books["ok"] > 10
    assert books["connection_error"] >= 20
    assert set(books) <= {"planned", "sent", "ok", "connection_error", "not_reached", "in_flight_at_stop"}


def test_redirects_are_not_followed_and_503s_not_repeated(faulty: dict[str, Seen]) -> None:
    for name in ("redirects", "asks to come back"):
        indices = [index for index, _ in faulty[name].record["arrivals"]]
        assert len(indices) == len(set(indices))
    assert faulty["redirects"].record["paths"] == ["/api/v1/service/stub/score"]
    assert faulty["asks to come back"].document["retries"] is None
    assert faulty["asks to come back"].books["status_503"] > 40


def test_an_endpoint_without_keep_alive_is_measured_all_the_same(faulty: dict[str, Seen]) -> None:
    """Half of its answers do not say that they are the last: a request may cross the end on its way. It is flagged."""
    seen = faulty["closes after each answer"]
    books = seen.books
    crossed = seen.document["observed"]["flagged_connection_errors"]
    assert books["ok"] + crossed == books["planned"]
    assert crossed <= 3, "each needs a request within the moment between an answer and the end that follows"
    assert seen.record["connections"] >= books["planned"] - crossed


def test_a_certificate_that_changes_during_the_run_is_named(
    stub: MakeStub,
    scenario: MakeScenario,
    tmp_path: Path,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    first = stub(tls=[str(path) for path in certificate])
    (tmp_path / "other").mkdir()
    other = make_certificate(tmp_path / "other")

    def change() -> None:
        first.close()
        stub(tls=[str(path) for path in other], port=first.port)

    result = replay(scenario(rps=60, duration="60s"), first.url, out=tmp_path / "run", on_progress=At(0.6, change))
    assert (result.document["ended"], result.exit_code) == ("endpoint_lost", 3)
    assert "x TLS certificate refused" in str(result.message)
    books = totals(result.document)
    assert books["ok"] > 15
    assert books["connection_error"] >= 20


@pytest.mark.parametrize("fault", ["refuses", "certificate", "no TLS", "name"])
def test_a_fault_before_the_run_is_bad_input(
    stub: MakeStub,
    scenario: MakeScenario,
    tmp_path: Path,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr(endpoint, "CONNECT_TIMEOUT_S", 0.5)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url, words = {
            "refuses": lambda: (f"http://127.0.0.1:{bound.getsockname()[1]}/score", "connection refused"),
            "certificate": lambda: (
                stub(tls=[str(path) for path in certificate]).url,
                "its TLS certificate is refused (self-signed certificate)",
            ),
            "no TLS": lambda: (stub().url.replace("http:", "https:"), "no TLS connection"),
            "name": lambda: ("http://nowhere.invalid/score", "the host name nowhere.invalid does not resolve"),
        }[fault]()
        with pytest.raises(InputError) as refusal:
            replay(scenario(), url, out=tmp_path / "run")
    assert words in str(refusal.value)
    assert len(refusal.value.problems) == 1
    assert not (tmp_path / "run").exists()


def test_a_certificate_that_nobody_vouches_for_ends_the_command_with_2(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    scenario()
    server = stub(tls=[str(path) for path in certificate])
    code, stdout, stderr = run("replay", tmp_path / "small.yaml", "--url", server.url, "--out", tmp_path / "run")
    assert (code, stdout) == (2, "")
    assert "its TLS certificate is refused (self-signed certificate)" in " ".join(stderr.split())
