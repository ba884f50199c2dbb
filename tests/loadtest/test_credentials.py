"""Keys and tokens: where they come from, how they are renewed under a running replay, and where they never appear."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.replay import credentials as module
from loadtest.replay.credentials import Credentials, CredentialSettings, Kind, choose, known_secrets
from loadtest.replay.tokens import expiry_of
from planner.errors import InputError
from tests.loadtest.identity_stub import IdentityStub, jwt

KEY = "k3y-Zq/x+9=secret"


def until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def replace_file(path: Path, text: str) -> None:
    """As a sidecar does it: a new file takes the place of the old."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def test_without_any_there_is_none() -> None:
    made = Credentials.from_settings(choose(environ={}), {})
    made.start()
    assert made.authorization is None
    assert made.secrets() == []
    assert "SURGEPROOF_ENDPOINT_KEY" in made.refused()
    made.stop()


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n", f"  {KEY}\r\n", f"\ufeff{KEY}"])
def test_a_key_file_may_end_with_a_line_break(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text, encoding="utf-8")
    made = Credentials.from_settings(choose(key_file=tmp_path / "key", environ={}), {})
    assert made.authorization == f"Bearer {KEY}"
    assert made.secrets() == [KEY]


def test_the_json_of_azure_cli_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(json.dumps({"primaryKey": KEY, "secondaryKey": "other"}))
    assert Credentials.from_settings(choose(key_file=tmp_path / "key.json", environ={}), {}).secrets() == [KEY]
    later = time.time() + 100
    (tmp_path / "token.json").write_text(json.dumps({"accessToken": "opaque-token", "expiryTimeUtc": later}))
    token = Credentials.from_settings(choose(token_file=tmp_path / "token.json", environ={}), {})
    assert token.authorization == "Bearer opaque-token"
    assert token.expires_at == pytest.approx(later)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"first\nsecond", "a line break or another character"),
        (b"a b", "holds a space"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"x" * 70_000, "larger than 65,536 bytes"),
        (b"{not json", "starts like JSON"),
        (b'{"other": "hidden-thing"}', "without accessToken or primaryKey"),
        (b'{"primaryKey": {"a": 1}}', "without accessToken or primaryKey"),
    ],
)
@pytest.mark.parametrize("option", ["key_file", "token_file"])
def test_a_file_that_holds_no_secret_is_named_and_not_shown(
    tmp_path: Path, option: str, content: bytes, message: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    options: dict[str, Any] = {option: path}
    with pytest.raises(InputError) as raised:
        Credentials.from_settings(choose(environ={}, **options), {})
    sentence = str(raised.value)
    assert sentence.startswith(f"--{option.replace('_', '-')} {path}: ")
    assert message in sentence
    assert "hidden-thing" not in sentence
    assert "second" not in sentence


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("missing", "no such file"), (".", "is a folder"), ("pipe", "is a pipe or a device")):
        with pytest.raises(InputError, match=message):
            Credentials.from_settings(choose(key_file=tmp_path / name, environ={}), {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        Credentials.from_settings(choose(key_file=tmp_path / "key", environ={}), {})


def test_two_sources_are_one_too_many(tmp_path: Path) -> None:
    key, token = {"SURGEPROOF_ENDPOINT_KEY": KEY}, {"SURGEPROOF_ENDPOINT_TOKEN": "t0ken"}
    some = tmp_path / "file"
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"environ": key | token}, ["SURGEPROOF_ENDPOINT_KEY", "SURGEPROOF_ENDPOINT_TOKEN"]),
        ({"environ": key, "key_file": some}, ["SURGEPROOF_ENDPOINT_KEY", "--key-file"]),
        ({"environ": {}, "key_file": some, "token_file": some}, ["--key-file", "--token-file"]),
        ({"environ": token, "azure_identity": True}, ["SURGEPROOF_ENDPOINT_TOKEN", "--azure-identity"]),
    ]
    for options, names in cases:
        with pytest.raises(InputError, match="give one credential only") as raised:
            choose(**options)
        assert all(name in str(raised.value) for name in names)
        assert KEY not in str(raised.value)


def test_settings_travel_in_the_environment_without_the_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    settings = choose(key_file=tmp_path / "key", environ={})
    carried = settings.to_environment()
    assert KEY not in json.dumps(carried)
    assert CredentialSettings.from_environment(carried) == settings
    by_environment = CredentialSettings.from_environment({"SURGEPROOF_ENDPOINT_KEY": KEY})
    assert by_environment == CredentialSettings(kind=Kind.KEY_VARIABLE)
    for text in ("{", "[]", '{"kind": "password"}', '{"kind": "key_file"}', '{"kind": "none", "who": 1}'):
        with pytest.raises(InputError, match="SURGEPROOF_CREDENTIALS"):
            CredentialSettings.from_environment({"SURGEPROOF_CREDENTIALS": text})


def test_a_token_knows_when_it_ends() -> None:
    token = jwt(1, 1200)
    made = Credentials.from_settings(CredentialSettings(kind=Kind.TOKEN_VARIABLE), {"SURGEPROOF_ENDPOINT_TOKEN": token})
    assert made.expires_at == pytest.approx(time.time() + 1200, abs=3)
    assert made.warning(600) is None
    sentence = made.warning(1800)
    assert sentence is not None
    assert "the run lasts 1800 s" in sentence
    assert token not in sentence
    with pytest.raises(InputError, match="SURGEPROOF_ENDPOINT_TOKEN: expired at 20") as raised:
        Credentials.from_settings(
            CredentialSettings(kind=Kind.TOKEN_VARIABLE), {"SURGEPROOF_ENDPOINT_TOKEN": jwt(2, -60)}
        )
    assert "eyJ" not in str(raised.value)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "e30.bm90IGpzb24.x", "e30.W10.x", "e30.eyJleHAiOiJ4In0.x", KEY])
def test_what_is_no_jwt_has_no_known_end(token: str) -> None:
    assert expiry_of(token) is None


def test_a_token_file_is_read_anew_when_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.03)
    path = tmp_path / "token"
    path.write_text("first-token-aaaa")
    with Credentials.from_settings(choose(token_file=path, environ={}), {}) as made:
        assert made.authorization == "Bearer first-token-aaaa"
        replace_file(path, "second-token-bbb\n")
        until(lambda: made.authorization == "Bearer second-token-bbb")
        assert made.refreshes == 1
        assert made.problem is None

        replace_file(path, "")
        until(lambda: made.problem is not None)
        assert made.problem == f"--token-file {path}: is empty"
        assert made.authorization == "Bearer second-token-bbb"
        path.unlink()
        until(lambda: "no such file" in str(made.problem))

        replace_file(path, "third-token-cccc")
        until(lambda: made.authorization == "Bearer third-token-cccc")
        assert made.problem is None
        assert made.refreshes == 2
        assert made.secrets() == ["first-token-aaaa", "second-token-bbb", "third-token-cccc"]
    assert not [thread for thread in threading.enumerate() if thread.name == "credentials"]


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that appends for several looks: what is read is whole."""
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.1)
    path = tmp_path / "token"
    path.write_text("old-token")
    with Credentials.from_settings(choose(token_file=path, environ={}), {}) as made:
        seen = set()
        with path.open("w") as file:
            for letter in "new-token-" * 3:
                file.write(letter)
                file.flush()
                time.sleep(0.02)
                seen.add(made.authorization)
        until(lambda: made.authorization == "Bearer " + "new-token-" * 3)
    assert seen == {"Bearer old-token"}


def test_an_expired_token_does_not_replace_one_that_may_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.03)
    path = tmp_path / "token"
    good = jwt(1, 600)
    path.write_text(good)
    with Credentials.from_settings(choose(token_file=path, environ={}), {}) as made:
        replace_file(path, jwt(2, -600))
        until(lambda: made.problem is not None)
        assert "expired at" in str(made.problem)
        assert made.authorization == f"Bearer {good}"
        assert "its last renewal failed" in made.refused()


def test_requests_read_while_renewals_swap(tmp_path: Path) -> None:
    """Readers never wait for a renewal and never see half of one: each value read is one that was whole."""
    made = Credentials(CredentialSettings(kind=Kind.KEY_VARIABLE), environ := {"SURGEPROOF_ENDPOINT_KEY": "key-0-0"})
    made.first_authorization()
    torn: list[str | None] = []
    reads, stop = [0, 0, 0], threading.Event()

    def read(slot: int) -> None:
        while not stop.is_set():
            value = made.authorization
            reads[slot] += 1
            _, left, right = str(value).split("-")
            if left != right:
                torn.append(value)

    readers = [threading.Thread(target=read, args=(slot,)) for slot in range(3)]
    for reader in readers:
        reader.start()
    for i in range(2000):
        environ["SURGEPROOF_ENDPOINT_KEY"] = f"key-{i}-{i}"
        assert made._try_again() is not None
    stop.set()
    for reader in readers:
        reader.join()
    assert torn == []
    assert min(reads) > 0
    assert made.refreshes == 1999
    assert not [name for name, value in vars(made).items() if isinstance(value, type(threading.Lock()))]


# azure-identity, the real library, against a managed-identity endpoint on loopback


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityStub]:
    """The stub is the only thing that the library may reach: any other connection fails the test."""
    pytest.importorskip("azure.identity")
    stub = IdentityStub(lasts_s=3)
    for name in [name for name in os.environ if name.startswith(("AZURE_", "MSI_", "IDENTITY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    monkeypatch.setenv("IDENTITY_ENDPOINT", stub.url)
    monkeypatch.setenv("IDENTITY_HEADER", "header-secret-123")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    strangers: list[Any] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: Any) -> None:
        if self.family == socket.AF_INET and address[0] != "127.0.0.1":
            strangers.append(address)
            raise OSError("no other network in tests")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    yield stub
    stub.close()
    assert strangers == []


def test_azure_identity_is_renewed_ahead_of_its_end(identity: IdentityStub) -> None:
    made = Credentials.from_settings(choose(azure_identity=True, environ={}), {})
    assert made.authorization is None
    assert identity.asked == []
    with made:
        first = made.authorization
        assert first == f"Bearer {identity.tokens[0]}"
        assert made.expires_at == pytest.approx(time.time() + 3, abs=1.5)
        until(lambda: made.refreshes >= 1)
        assert made.authorization == f"Bearer {identity.tokens[1]}" != first
    (asked, resource, header), (again, *_) = identity.asked[:2]
    assert (resource, header) == ("https://ml.azure.com", "header-secret-123")
    # 50 to 80 % of a life of 2 to 3 s (the stub cuts to whole seconds), and not after its end.
    assert 0.9 <= again - asked <= 2.6
    assert made.secrets() == identity.tokens[:2]


def test_azure_identity_that_fails_keeps_the_token_and_tries_again(
    identity: IdentityStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(module, "RENEW_BETWEEN", (0.05, 0.1))
    monkeypatch.setattr(module, "SHORTEST_PAUSE_S", 0.05)
    with Credentials.from_settings(choose(azure_identity=True, environ={}), {}) as made:
        identity.refuses = True
        until(lambda: made.problem is not None)
        assert made.problem is not None
        assert made.problem.startswith("--azure-identity: no token for https://ml.azure.com/.default (")
        assert "header-secret-123" not in made.problem
        assert "\n" not in made.problem
        assert made.authorization is not None
        identity.refuses = False
        before = made.refreshes
        until(lambda: made.refreshes > before)
        assert made.problem is None


def test_azure_identity_that_fails_at_first_is_an_input_error(identity: IdentityStub) -> None:
    identity.refuses = True
    with pytest.raises(InputError) as raised:
        Credentials.from_settings(CredentialSettings(kind=Kind.AZURE_IDENTITY), {}).start()
    text = "".join(traceback.format_exception(raised.value))
    assert "header-secret-123" not in text
    assert len(raised.value.problems) == 1


def test_another_cloud_has_another_scope(identity: IdentityStub) -> None:
    environ = {"SURGEPROOF_AZURE_SCOPE": "https://ml.azure.cn/.default"}
    Credentials.from_settings(CredentialSettings(kind=Kind.AZURE_IDENTITY), environ).first_authorization()
    assert [resource for _, resource, _ in identity.asked] == ["https://ml.azure.cn"]


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(InputError, match=r"pip install 'surgeproof\[azure\]'"):
        Credentials.from_settings(CredentialSettings(kind=Kind.AZURE_IDENTITY), {}).start()


def test_no_text_about_credentials_holds_them(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(KEY)
    made = Credentials.from_settings(choose(token_file=tmp_path / "token", environ={}), {})
    settings = made.settings
    for text in (repr(made), str(made), repr(settings), made.refused(), repr(made._current), str(made.problem)):
        assert KEY not in text
    assert known_secrets(settings, {"SURGEPROOF_ENDPOINT_TOKEN": "t0ken"}) == ["t0ken", KEY]
    for bad in ("sp ace-hidden", "line\nhidden", "uml\u00e4ut-hidden"):
        with pytest.raises(InputError) as raised:
            Credentials.from_settings(
                CredentialSettings(kind=Kind.KEY_VARIABLE), {"SURGEPROOF_ENDPOINT_KEY": bad}
            ).start()
        assert "hidden" not in "".join(traceback.format_exception(raised.value))


UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys, time, threading
from pathlib import Path
from loadtest.replay import credentials as module
module.LOOK_EVERY_S = 0.05
path = Path(sys.argv[1])
ticks = 0
def tick():
    global ticks
    while True:
        time.sleep(0.005)
        ticks += 1
threading.Thread(target=tick, daemon=True).start()
with module.Credentials.from_settings(module.choose(token_file=path, environ={}), {}) as made:
    new = path.with_suffix(".new")
    new.write_text("second-token")
    new.replace(path)
    deadline = time.monotonic() + 5
    while made.authorization != "Bearer second-token" and time.monotonic() < deadline:
        time.sleep(0.01)
    print(made.authorization, made.refreshes, ticks > 3)
"""


def test_a_process_that_gevent_has_patched_renews_too(tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    (tmp_path / "token").write_text("first-token")
    done = subprocess.run(
        [sys.executable, "-c", UNDER_GEVENT, str(tmp_path / "token")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "Bearer second-token 1 True\n", done.stderr


def test_the_module_does_not_import_gevent() -> None:
    code = (
        "import sys, loadtest.replay.credentials; print([m for m in sys.modules if m.startswith(('gevent', 'azure'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
