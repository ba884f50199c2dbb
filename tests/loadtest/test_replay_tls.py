"""A private CA and client certificates, over real sockets; the passphrase and the key are nowhere afterwards."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.loadtest.replay_runs import MakeFile, MakeStub, folder_bytes, real_runs, run, run_json, totals
from tests.loadtest.test_replay_locust import LOCUST

pytestmark = real_runs

PASSPHRASE = "passphrase-that-nobody-may-see"
JSON = "request: {body: {data: [[1, 2]]}}\n"


@pytest.fixture
def encrypted(certificate: tuple[Path, Path], tmp_path: Path) -> Path:
    """The key of the certificate, encrypted."""
    path = tmp_path / "encrypted.pem"
    command = ["openssl", "ec", "-in", str(certificate[1]), "-aes256", "-passout", f"pass:{PASSPHRASE}"]
    subprocess.run([*command, "-out", str(path)], check=True, capture_output=True)
    return path


def test_mutual_tls_in_every_way_to_run(
    foreign: MakeStub, scenario_file: MakeFile, tmp_path: Path, certificate: tuple[Path, Path], encrypted: Path
) -> None:
    path, files = scenario_file(rps=20, duration="1s", more=JSON), [str(file) for file in certificate]
    server = foreign(tls=files, client_ca=files[0])
    secret = os.environ | {"SURGEPROOF_CLIENT_KEY_PASSPHRASE": PASSPHRASE}
    options = ["--ca-file", files[0], "--client-cert", files[0], "--client-key", encrypted]
    for processes in (1, 2):
        out = tmp_path / f"run-{processes}"
        arguments = ["replay", path, "--url", server.url, "--out", out, "--processes", processes, *options]
        code, document, stderr = run_json(*arguments, env=secret)
        assert code in (0, 3), stderr
        n = document["books"]["planned"]
        assert totals(document) == {"planned": n, "sent": n, "ok": n}
        assert PASSPHRASE.encode() not in folder_bytes(out)
        assert b"PRIVATE KEY" not in folder_bytes(out)
    names = {
        "SURGEPROOF_CA_FILE": files[0],
        "SURGEPROOF_CLIENT_CERT": files[0],
        "SURGEPROOF_CLIENT_KEY": str(encrypted),
    }
    locust = [*LOCUST, "--headless", "--scenario", str(path), "--url", server.url, "--out", str(tmp_path / "locust")]
    done = subprocess.run(
        locust, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, env=secret | names
    )
    assert done.returncode in (0, 3), done.stderr
    assert len(server.record()["requests"]) == 3 * n


def test_what_is_wrong_with_tls_is_a_sentence(
    foreign: MakeStub, scenario_file: MakeFile, tmp_path: Path, certificate: tuple[Path, Path], encrypted: Path
) -> None:
    path, files = scenario_file(rps=20, duration="1s", more=JSON), [str(file) for file in certificate]
    server = foreign(tls=files, client_ca=files[0])

    def said(*options: object) -> str:
        code, _, stderr = run("replay", path, "--url", server.url, "--out", tmp_path / "run", *options)
        assert code == 2
        return " ".join(stderr.split())

    assert "its TLS certificate is refused" in said()
    assert "give --client-cert and --client-key" in said("--ca-file", files[0])
    assert "SURGEPROOF_CLIENT_KEY_PASSPHRASE" in said("--client-cert", files[0], "--client-key", encrypted)
    assert "cannot be read for TLS" in said("--ca-file", tmp_path / "nowhere.pem")
    assert "needs --client-cert" in said("--client-key", encrypted)
    assert server.record()["requests"] == []
