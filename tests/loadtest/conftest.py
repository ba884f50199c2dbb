"""Fixtures of the replay's tests: a recording stub server in a process of its own, and small scenarios."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from loadtest.replay import start as replay_start
from planner.scenario import Scenario
from planner.scenario_file import load

STUB = Path(__file__).with_name("stub_server.py")
FOREIGN_STUB = Path(__file__).with_name("foreign_stub.py")


class StubServer:
    """The client's side of `stub_server.py`, or of another script that is talked to like it."""

    def __init__(self, settings: dict[str, Any], inside: Sequence[str] = (), script: Path = STUB) -> None:
        """inside: a command that starts others in a namespace of the kernel."""
        command = [*inside, sys.executable, str(script)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self._ask(settings))
        host = settings.get("host", "127.0.0.1")
        self.url = f"{'https' if 'tls' in settings else 'http'}://{host}:{self.port}/api/v1/service/stub/score"

    def record(self) -> dict[str, Any]:
        """What the stub saw so far."""
        record: dict[str, Any] = json.loads(self._ask("record"))
        return record

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.stdin.closed:
            return
        self._process.stdin.close()
        self._process.stdout.close()
        if self._process.wait(5):
            raise AssertionError("the stub server crashed")

    def _ask(self, what: object) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@pytest.fixture
def stub() -> Iterator[Callable[..., StubServer]]:
    """Starts stub servers: stub(cycle=["ok", "503"], delay_s=0.05)."""
    servers: list[StubServer] = []

    def start(*, inside: Sequence[str] = (), **settings: Any) -> StubServer:
        servers.append(StubServer(settings, inside))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def foreign() -> Iterator[Callable[..., StubServer]]:
    """Starts endpoints that are no lab: foreign(mode="sse")."""
    servers: list[StubServer] = []

    def start(**settings: Any) -> StubServer:
        servers.append(StubServer(settings, script=FOREIGN_STUB))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def write_scenario(
    path: Path, rps: float = 50, duration: str = "2s", arrivals: str = "poisson", more: str = "", **deployment: str
) -> Path:
    """A small scenario file. more: further lines."""
    settings = {"autoscale_min_replicas": "2", "max_request_wait_time": "100ms", "scoring_timeout_ms": "1000"}
    lines = "".join(f"  {name}: {value}\n" for name, value in (settings | deployment).items())
    path.write_text(
        f"schema_version: 1\nname: small\nshows: A test of the replay.\nduration: {duration}\n"
        f"traffic:\n  arrivals: {arrivals}\n  rate: [{{from: 0s, rps: {rps}}}]\n"
        "service_time: {distribution: deterministic, mean: 50ms}\n"
        f"deployment:\n  api: v1\n  autoscaler: azureml-fe\n{lines}"
        f"cold_start: {{distribution: deterministic, mean: 1s}}\nseed: 7\n{more}"
    )
    return path


@pytest.fixture
def scenario_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a scenario file: Poisson arrivals at `rps` for `duration`."""
    return lambda **settings: write_scenario(tmp_path / "small.yaml", **settings)


@pytest.fixture
def scenario(scenario_file: Callable[..., Path]) -> Callable[..., Scenario]:
    """The scenario of `scenario_file`, loaded."""
    return lambda **settings: load(scenario_file(**settings))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Another self-signed certificate for 127.0.0.1, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*request.split(), *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("needs the openssl command to make a certificate")
    os.chmod(key, 0o600)
    return certificate, key


@pytest.fixture
def short_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this process start 0.3 s after their workers are armed."""
    monkeypatch.setattr(replay_start, "LEAD_S", 0.3)


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SURGEPROOF_ENDPOINT_KEY", "SURGEPROOF_ENDPOINT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
