"""Which URLs are taken, what is refused before the first request, and the run folder."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.replay import endpoint
from loadtest.replay.endpoint import check_allowed, check_reachable, is_loopback, parse_url, resolve
from loadtest.replay.run import replay
from loadtest.runfolder import create_run_folder, open_run_folder, provenance
from planner.errors import InputError
from planner.scenario import Scenario
from tests.loadtest.conftest import StubServer


def test_a_url_is_taken_apart() -> None:
    parsed = parse_url("https://Example.com/api/v1/service/x/score?code=secret")
    assert (parsed.host, parsed.port, parsed.is_tls) == ("example.com", 443, True)
    assert parsed.path == "/api/v1/service/x/score?code=secret"
    assert parsed.shown == "https://example.com:443/api/v1/service/x/score?…"
    assert parse_url("http://[::1]:5001/score").origin == "http://[::1]:5001"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:5001/score", "must be a full scoring URL"),
        ("ftp://host/score", "must be a full scoring URL"),
        ("http:///score", "must be a full scoring URL"),
        ("http://host:99999/score", "not a URL"),
        ("http://host:0/score", "port 0"),
        ("http://user:hunter2@host/score", "must not carry a user name or password"),
        ("http://user:hunter2@host:99999/score?a", "--url http://…@host:99999/score: not a URL"),
        ("http://user:hunter2@[bad/score", r"--url http://…@\[bad/score: not a URL"),
        ("http://user:hunter2?hunter2@host/", "--url http://…: not a URL"),
        ("user:hunter2@host/score", "--url …@host/score: must be a full scoring URL"),
        ("http://host/score#hunter2", "--url http://host/score: must not carry a #fragment"),
        ("http://host/sc ore", "percent-encode"),
        ("http://host/score\r\nX: y", "percent-encode|must be"),
    ],
)
def test_urls_that_are_refused(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        parse_url(url)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["127.0.0.1"], True),
        (["127.0.0.1", "::1"], True),
        (["127.0.0.1", "10.0.0.1"], False),
        (["fe80::1%eth0"], False),
        ([], False),
    ],
)
def test_loopback_means_every_address(addresses: list[str], expected: bool) -> None:
    assert is_loopback(addresses) is expected


@pytest.mark.parametrize(
    ("allow", "limit", "words"),
    [
        (
            [],
            None,
            "staging.example is not this machine. .*900 requests, at most 45 in one second.*--allow-host staging.ex",
        ),
        (["other.example"], 900, "is not this machine"),
        (["staging.example"], None, "needs --max-requests 900 too"),
        (["staging.example"], 899, "--max-requests 899: .*900 requests, at most 45 in one second"),
        (["STAGING.example"], 900, None),
    ],
)
def test_another_machine_must_be_named_and_limited(allow: list[str], limit: int | None, words: str | None) -> None:
    def ask() -> None:
        check_allowed(
            parse_url("http://staging.example/score"),
            loopback=False,
            allow_hosts=allow,
            max_requests=limit,
            max_rps=None,
            planned=900,
            peak_rate_rps=45.0,
        )

    if words is None:
        ask()
    else:
        with pytest.raises(InputError, match=words):
            ask()


def test_a_replay_of_another_machine_is_refused_before_anything_happens(
    scenario: Callable[..., Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_connection(*_: object, **__: object) -> None:
        raise AssertionError("the host was contacted")

    monkeypatch.setattr(socket, "create_connection", no_connection)
    with pytest.raises(InputError, match=r"192\.0\.2\.1 is not this machine"):
        replay(scenario(), "http://192.0.2.1/score", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_port_where_nobody_listens(scenario: Callable[..., Scenario], tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(InputError, match=f"connection refused, nothing listens on port {port}"):
            replay(scenario(), f"http://127.0.0.1:{port}/score", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(InputError, match=r"the host name nowhere\.invalid does not resolve"):
        resolve(parse_url("http://nowhere.invalid/score"))


@pytest.mark.lab
def test_a_certificate_that_nobody_vouches_for(stub: Callable[..., StubServer], certificate: tuple[Path, Path]) -> None:
    server = stub(tls=[str(path) for path in certificate])
    with pytest.raises(InputError, match="its TLS certificate is refused"):
        check_reachable(parse_url(server.url))


@pytest.mark.lab
def test_tls_asked_of_a_plain_server(stub: Callable[..., StubServer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(InputError, match=r"no TLS connection|cannot be reached|no connection within"):
        check_reachable(parse_url(stub().url.replace("http:", "https:")))


@pytest.mark.parametrize(("max_rps", "refused"), [(45.0, False), (44.9, True), (1000.0, False), (None, False)])
@pytest.mark.parametrize("loopback", [True, False])
def test_a_plan_beyond_the_largest_rate_is_refused(max_rps: float | None, refused: bool, loopback: bool) -> None:
    def ask() -> None:
        check_allowed(
            parse_url("http://staging.example/score"),
            loopback=loopback,
            allow_hosts=["staging.example"],
            max_requests=900,
            max_rps=max_rps,
            planned=900,
            peak_rate_rps=45.0,
        )

    if refused:
        with pytest.raises(InputError, match=r"--max-rps 44\.9: .*up to 45 requests in one second.*--rate-scale 1"):
            ask()
    else:
        ask()


@pytest.mark.parametrize("key", ["hunter2\r\nX-Injected: 1", "hunter2 hunter2", "hunter2\u00e9\x7f"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(
    scenario: Callable[..., Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("SURGEPROOF_ENDPOINT_KEY", key)
    with pytest.raises(InputError, match="SURGEPROOF_ENDPOINT_KEY") as refusal:
        replay(scenario(), "http://127.0.0.1:9/score", out=tmp_path / "run")
    assert "hunter2" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


def test_run_folders_are_new_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = create_run_folder("a b/../c"), create_run_folder("a b/../c")
    assert first.path != second.path
    assert first.path.parent == Path("runs")
    assert first.path.name.startswith("a-b-..-c-20")
    with pytest.raises(InputError, match="not empty"):
        create_run_folder("x", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made a run folder"):
        create_run_folder("x", tmp_path / "file" / "below")


def test_an_incomplete_run_folder_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run folder"):
        open_run_folder(tmp_path / "nowhere")
    folder = create_run_folder("x", tmp_path / "run")
    folder.scenario.write_text("")
    with pytest.raises(InputError, match="is a folder, not a complete run folder"):
        open_run_folder(folder.path)
    folder.summary.write_text("{broken")
    with pytest.raises(InputError, match=r"schedule\.parquet: no such file"):
        open_run_folder(folder.path)
    with pytest.raises(InputError, match=r"summary\.json: not a readable JSON"):
        folder.read_summary()
    with pytest.raises(ValueError):
        folder.write_summary({"x": float("nan")})


def test_provenance_is_plain_json() -> None:
    document = json.loads(json.dumps(provenance(7)))
    assert document["seed"] == 7
    assert document["packages"]["locust"]
