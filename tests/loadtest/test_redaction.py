"""Secrets are taken out of text in whatever form they have got into it."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.replay.redaction import redact

SECRET = 'a/b+c="d\\e%f&g'


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET).lower(),
        quote(quote(SECRET, safe=""), safe=""),
        json.dumps(SECRET),
        json.dumps(json.dumps({"key": SECRET})),
        json.dumps(SECRET).replace("/", "\\/"),
        repr({"key": SECRET}),
        "".join(f"\\u{ord(c):04x}" for c in SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(f":{SECRET}".encode()).decode(),
        base64.b64encode(f"user:{SECRET}!".encode()).decode(),
        base64.b64encode(f"Bearer {SECRET}".encode()).decode(),
    ],
)
def test_every_way_to_write_a_secret(written: str) -> None:
    clean = redact(f"sent {written} to the endpoint", [SECRET])
    assert clean.startswith("sent ")
    assert clean.endswith(" to the endpoint")
    assert "***" in clean
    for form in (SECRET, quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode()[2:-4]):
        assert form not in clean


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=40), st.binary(max_size=5))
def test_no_alignment_of_base64_hides_one(secret: str, before: bytes) -> None:
    written = base64.b64encode(before + secret.encode() + b"tail").decode()
    clean = redact(written, [secret])
    assert "***" in clean
    # At most the sextets at both ends remain, which mix with bytes that are not the secret's.
    assert len(written) - len(clean.replace("***", "")) >= len(secret) * 8 // 6 - 2


def test_the_longer_of_two_goes_first() -> None:
    assert redact("abcdefgh abcd", ["abcd", "abcdefgh", ""]) == "*** ***"


def test_what_looks_like_a_token_goes_whoever_knows_it() -> None:
    token = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjM4MDAwMDB9.c2lnbmF0dXJl"
    assert redact(f"got {token}, then failed", []) == "got ***, then failed"
    assert redact("Authorization: Bearer 0123456789abcdef0123\r\nAccept: x", []) == (
        "Authorization: Bearer ***\r\nAccept: x"
    )
    assert redact("the bearer of bad news; 3.5.1 of eyJ", []) == "the bearer of bad news; 3.5.1 of eyJ"


def test_text_without_secrets_stays() -> None:
    text = 'request 7: {"error": "Too many requests for service x (overloaded)"}\n'
    assert redact(text, [SECRET, "other-secret"]) == text
