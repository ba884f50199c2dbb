"""Which credential a replay uses, as options and environment name it: where it comes from, never what it is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from loadtest.replay.endpoint import KEY_VARIABLE
from loadtest.replay.tls import PASSPHRASE_VARIABLE
from loadtest.replay.tokens import from_file, secrets_of_the_identity
from planner.errors import InputError

TOKEN_VARIABLE = "SURGEPROOF_ENDPOINT_TOKEN"
SETTINGS_VARIABLE = "SURGEPROOF_CREDENTIALS"
"""Which credential a worker is to find, as JSON: where it comes from, not what it is."""


class Kind(StrEnum):
    """Where a credential comes from."""

    NONE = "none"
    KEY_VARIABLE = "key_variable"
    KEY_FILE = "key_file"
    TOKEN_VARIABLE = "token_variable"
    TOKEN_FILE = "token_file"
    AZURE_IDENTITY = "azure_identity"


@dataclass(frozen=True, kw_only=True)
class CredentialSettings:
    """Which credential a worker is to find by itself: plain text, no secret is part of it."""

    kind: Kind = Kind.NONE
    file: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in set(Kind):
            raise InputError(f"{SETTINGS_VARIABLE}: kind = {self.kind}, must be one of {', '.join(Kind)}")
        object.__setattr__(self, "kind", Kind(self.kind))
        if (self.kind in (Kind.KEY_FILE, Kind.TOKEN_FILE)) != bool(self.file):
            raise InputError(f"{SETTINGS_VARIABLE}: file = {self.file}, must name a file for a key_file or token_file")

    def to_environment(self) -> dict[str, str]:
        return {SETTINGS_VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> CredentialSettings:
        """What `to_environment` wrote; without it, what the environment itself offers."""
        if not (text := environ.get(SETTINGS_VARIABLE)):
            return choose(environ=environ)
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            raise InputError(f"{SETTINGS_VARIABLE}: must be JSON with kind and file") from None


def known_secrets(settings: CredentialSettings, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The keys and tokens that this process could read anywhere, for redaction of what others wrote."""
    found = [environ[name] for name in (KEY_VARIABLE, TOKEN_VARIABLE, PASSPHRASE_VARIABLE) if environ.get(name)]
    found += secrets_of_the_identity(environ)
    if settings.file is not None:
        with suppress(InputError):
            found.append(from_file(Path(settings.file), "").value)
    return found


def choose(
    *,
    key_file: Path | None = None,
    token_file: Path | None = None,
    azure_identity: bool = False,
    environ: Mapping[str, str],
) -> CredentialSettings:
    """The one credential that options and environment name. Two of them are an InputError: one would be a surprise."""
    named = {
        KEY_VARIABLE: CredentialSettings(kind=Kind.KEY_VARIABLE) if environ.get(KEY_VARIABLE) else None,
        "--key-file": _of_file(Kind.KEY_FILE, key_file),
        TOKEN_VARIABLE: CredentialSettings(kind=Kind.TOKEN_VARIABLE) if environ.get(TOKEN_VARIABLE) else None,
        "--token-file": _of_file(Kind.TOKEN_FILE, token_file),
        "--azure-identity": CredentialSettings(kind=Kind.AZURE_IDENTITY) if azure_identity else None,
    }
    found = {name: settings for name, settings in named.items() if settings is not None}
    if len(found) > 1:
        raise InputError(f"{' and '.join(found)}: give one credential only")
    return next(iter(found.values()), CredentialSettings())


def _of_file(kind: Kind, file: Path | None) -> CredentialSettings | None:
    """An absolute path: a worker may be started in another folder."""
    return None if file is None else CredentialSettings(kind=kind, file=str(file.absolute()))
