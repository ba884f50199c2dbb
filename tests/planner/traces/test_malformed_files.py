"""No file ends in anything but an answer or one sentence of at most a screen, whatever is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from planner.errors import InputError
from planner.traces.formats import BY_NAME, FORMATS
from planner.traces.trace_file import read_column, read_trace

CASES = Path(__file__).parent / "cases"
SCREEN = 300
"""Characters beside the file's own path."""


def attempt(path: Path, form: str | None = None) -> None:
    for read in (lambda: read_trace(path, form=form), lambda: read_column(path)):
        try:
            read()
        except InputError as error:
            (sentence,) = error.problems
            text = sentence.replace(str(path), "")
            assert len(text) <= SCREEN, text
            assert "\n" not in text


PIECES = (b",", b";", b'"', b"\n", b"{", b"[", b"null", b"-1", b"1e999", b"\xff", b"\x00")


def damaged(data: bytes, seed: int) -> bytes:
    """A sample with bytes replaced, cut out, doubled, or lines moved."""
    chance = np.random.default_rng(seed)
    text = bytearray(data)
    for _ in range(chance.integers(1, 7)):
        at = int(chance.integers(len(text))) if text else 0
        match int(chance.integers(6)):
            case 0:
                text[at : at + 1] = bytes([chance.integers(256)])
            case 1:
                del text[at : at + int(chance.integers(1, 41))]
            case 2:
                text[at:at] = text[at : at + int(chance.integers(1, 41))]
            case 3:
                text[at:at] = PIECES[int(chance.integers(len(PIECES)))]
            case 4:
                lines = bytes(text).split(b"\n")
                text = bytearray(b"\n".join(lines[i] for i in chance.permutation(len(lines))))
            case _:
                text = text[:at]
    return bytes(text)


SAMPLES = [known.sample.encode() for known in FORMATS] + [
    path.read_bytes() for path in sorted(CASES.iterdir()) if path.stat().st_size < 5000
]


@pytest.mark.parametrize("number", range(len(SAMPLES)))
def test_damaged_samples(tmp_path: Path, number: int) -> None:
    path = tmp_path / "file"
    for seed in range(30):
        path.write_bytes(damaged(SAMPLES[number], 1000 * number + seed))
        attempt(path)


@pytest.mark.parametrize("form", sorted(BY_NAME))
def test_a_format_that_a_file_does_not_have(tmp_path: Path, form: str) -> None:
    path = tmp_path / "file"
    for content in SAMPLES:
        path.write_bytes(content)
        attempt(path, form)


@pytest.mark.parametrize(
    "content",
    [
        b'{"value": [' + b'{"timeStamp": "2026-11-22T10:00:00Z", "total": 5}, ' * 3000 + b"{}]}",
        b"x" * 1_000_000,
        b"a," * 200_000 + b"\n",
        b"timestamp," + b"y" * 100_000 + b"\n2026-01-01,1\n",
        b"timestamp,requests\n2026-01-01," + b"9" * 100_000 + b"\n",
        b"timestamp\n" + b"z" * 100_000 + b"\n",
        b'"' + b"q" * 300_000,
        b"[" * 100_000,
        b'{"data": {"resultType": "matrix", "result": [{"metric": {"__name__": "' + b"n" * 9000 + b'_total"}}]}}',
        b"\xef\xbb\xbf",
        b"sep=;",
        b"timestamp,requests\n" * 3,
        b"timestamp,requests\n2026-01-01,1\n9999-12-31T23:59:59-23:59,1\n0001-01-01T00:00:00+23:59,1\n",
    ],
)
def test_large_and_strange_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    attempt(path)


def test_every_sample_of_the_docs_is_read_as_its_format(tmp_path: Path) -> None:
    for known in FORMATS:
        if known.name == "parquet":
            continue
        path = tmp_path / known.name
        path.write_text(known.sample + "\n", encoding="utf-8")
        read_trace(path, form=known.name, bin_s=60.0 if known.stamps is None and known.name in BINS else None)


BINS = ("counts", "rates", "azure_metrics", "prometheus", "locust_history")
