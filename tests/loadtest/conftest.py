"""Fixtures of the replay's tests: a recording stub server in a process of its own, and small scenarios."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from planner.scenario import Scenario
from planner.scenario_file import load

STUB = Path(__file__).with_name("stub_server.py")


class StubServer:
    """The client's side of `stub_server.py`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._process = subprocess.Popen([sys.executable, str(STUB)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(settings).encode() + b"\n")
        self._process.stdin.flush()
        self.port = int(self._process.stdout.readline())
        self.url = f"{'https' if 'tls' in settings else 'http'}://127.0.0.1:{self.port}/api/v1/service/stub/score"

    def record(self) -> dict[str, Any]:
        """What the stub saw so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/record", timeout=5) as answer:
            record: dict[str, Any] = json.load(answer)
        return record

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        if self._process.wait(5):
            raise AssertionError("the stub server crashed")


@pytest.fixture
def stub() -> Iterator[Callable[..., StubServer]]:
    """Starts stub servers: stub(cycle=["ok", "503"], delay_s=0.05)."""
    servers: list[StubServer] = []

    def start(**settings: Any) -> StubServer:
        servers.append(StubServer(settings))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def scenario_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a scenario file: Poisson arrivals at `rps` for `duration`."""

    def write(rps: float = 50, duration: str = "2s", arrivals: str = "poisson", **deployment: str) -> Path:
        settings = {"autoscale_min_replicas": "2", "max_request_wait_time": "100ms", "scoring_timeout_ms": "1000"}
        lines = "".join(f"  {name}: {value}\n" for name, value in (settings | deployment).items())
        path = tmp_path / "small.yaml"
        path.write_text(
            f"schema_version: 1\nname: small\nshows: A test of the replay.\nduration: {duration}\n"
            f"traffic:\n  arrivals: {arrivals}\n  rate: [{{from: 0s, rps: {rps}}}]\n"
            "service_time: {distribution: deterministic, mean: 50ms}\n"
            f"deployment:\n  api: v1\n  autoscaler: azureml-fe\n{lines}"
            "cold_start: {distribution: deterministic, mean: 1s}\nseed: 7\n"
        )
        return path

    return write


@pytest.fixture
def scenario(scenario_file: Callable[..., Path]) -> Callable[..., Scenario]:
    """The scenario of `scenario_file`, loaded."""
    return lambda **settings: load(scenario_file(**settings))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*request, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("needs the openssl command to make a certificate")
    os.chmod(key, 0o600)
    return certificate, key


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SURGEPROOF_ENDPOINT_KEY", raising=False)


def processes() -> dict[int, tuple[int, str]]:
    """Every process of this machine: id -> (parent's id, command line)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        found[int(path.name)] = (parent, command)
    return found


def workers_of(parent: int | None = None) -> list[int]:
    """Replay workers that a process (this one) has started."""
    parent = os.getpid() if parent is None else parent
    return [
        pid for pid, (ppid, command) in processes().items() if ppid == parent and "loadtest.replay.worker" in command
    ]
