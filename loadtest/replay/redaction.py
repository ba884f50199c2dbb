"""Taking secrets out of text, in whatever form they have got into it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from functools import lru_cache

HIDDEN = "***"

_SHORTEST_ENCODED = 6
"""Characters of a secret whose base64 is looked for; that of a shorter one would be found in any text."""


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with *** for each secret, and for whatever looks like a token.

    A secret is found as it is, URL-encoded, JSON-escaped, or in base64, there also as a part of something longer.
    Redact before a text is cut: a part of a secret is not recognized.
    """
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        text = _pattern(secret).sub(HIDDEN, text)
    return _TOKEN.sub(HIDDEN, text)


_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|(?i:(?<=bearer )|(?<=bearer%20))[\w.~+/=%-]{16,}")
"""What is a bearer token or a JSON Web Token by its looks, whoever has seen it."""


@lru_cache(maxsize=64)
def _pattern(secret: str) -> re.Pattern[str]:
    forms = ["".join(map(_any_spelling, secret))]
    if len(secret) >= _SHORTEST_ENCODED:
        forms += [re.escape(form) for form in _in_base64(secret.encode())]
    return re.compile("|".join(forms))


def _any_spelling(character: str) -> str:
    r"""A character as it is, as %2F or (encoded twice) %252F, as \u002f, or after backslashes."""
    code = ord(character)
    percent = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode())
    return rf"(?:\\*{re.escape(character)}|(?i:{percent}|\\+u{code:04x}|\\+x{code:02x}))"


def _in_base64(secret: bytes) -> set[str]:
    """What every base64 text of something that holds the secret has in it, for each of three alignments."""
    found = set()
    for before in range(3):
        padded = b"\0" * before + secret
        # Sextets that mix with neighbouring bytes are left out at both ends.
        start, end = -(-8 * before // 6), 8 * len(padded) // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(padded).decode()[start:end])
    return found
