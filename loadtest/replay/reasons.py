"""What an answer says about why it is no good one, as a sentence; of a redirect the place, without its query."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

LARGEST_UNPACKED_BYTES = 100_000_000
LONGEST_SHOWN = 120

_SENTENCES = {
    404: "HTTP 404: nothing answers at this path, or the endpoint has no deployment with traffic",
    408: "HTTP 408: the request timed out at the endpoint (request_timeout_ms of a managed deployment)",
    429: "HTTP 429: the endpoint limits its requests, in a second or pending at one time",
    502: "HTTP 502: the front end got no whole answer from the container, which may have crashed",
}


def reason(status: int, header: Callable[[str], Any]) -> str | None:
    """A sentence for a status that is not 200; None where there is nothing to add. header: its value by name."""
    if 300 <= status < 400:
        place = _place(header("location"))
        return (
            f"HTTP {status} redirects to {place}, and a replay follows no redirect; if that is the endpoint, "
            "give its address with --url"
        )
    if status == 424:
        code, why = (_shown(header(f"ms-azureml-model-error-{name}")) for name in ("statuscode", "reason"))
        return f"HTTP 424: the model's container answered {code or 'an error'} ({why or 'no reason given'})"
    return _SENTENCES.get(status)


def bad_body(problem: str, content_type: str | None) -> str:
    """A success whose body is not as the scenario wants it."""
    kind = _shown(content_type) or "no Content-Type"
    return f"a success with a bad body: {problem} ({kind}); request.check.body says what it must be"


def unpacked(body: bytes, encoding: str | None) -> bytes | None:
    """A body without its Content-Encoding; None where it is damaged, too large or in an unknown one."""
    if not encoding or encoding.strip().lower() == "identity":
        return body
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return None
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, as its head says
    try:
        found = unpacker.decompress(body, LARGEST_UNPACKED_BYTES)
    except zlib.error:
        return None
    return found if unpacker.eof else None


def _place(location: Any) -> str:
    """Scheme, host and path of a Location."""
    try:
        parts = urlsplit(str(location or ""))
        host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
    except ValueError:
        host, parts = "", urlsplit("")
    return _shown(host + parts.path) or "no Location"


def _shown(text: Any) -> str:
    """Fit for a message: printable, and not too long."""
    clean = "".join(c for c in text if c.isprintable()) if isinstance(text, str) else ""
    return clean if len(clean) <= LONGEST_SHOWN else f"{clean[:LONGEST_SHOWN]}…"
