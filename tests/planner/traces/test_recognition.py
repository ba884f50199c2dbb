"""What a file is, told by its content: no name, ending or compression changes it."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from planner.errors import InputError
from planner.traces.formats import FORMATS, recognise
from planner.traces.trace_file import read_trace
from tests.planner.traces.formats_table import PAGE, with_table

LOG = (
    b'10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "POST /score HTTP/1.1" 200 12 "-" "python-requests/2.31"\n'
    b'10.0.0.2 - - [22/Nov/2026:10:00:02 +0000] "POST /score HTTP/1.1" 200 12 "-" "python-requests/2.31"\n'
)
TABLE = b"time_s,service_time_s\n0.5,1\n2.5,1\n"


def zstandard(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as file:
        file.write(data)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    "name", ["access.log", "access.log.1", "access.log-20261122", "access", "requests.csv", "x.gz"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard])
def test_names_and_compression_change_nothing(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    for data, expected in ((LOG, "common_log"), (TABLE, "csv")):
        (tmp_path / name).write_bytes(pack(data))
        known = recognise(tmp_path / name)
        assert known is not None
        assert known.name == expected
        assert read_trace(tmp_path / name).times_s.tolist() == [0.0, 2.0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_as_powershell_writes_it(tmp_path: Path, encoding: str) -> None:
    for data in (LOG, TABLE):
        text = data.decode()
        if encoding in ("utf-16-le", "utf-16-be"):
            text = "\ufeff" + text
        (tmp_path / "file").write_bytes(text.encode(encoding))
        assert read_trace(tmp_path / "file").times_s.tolist() == [0.0, 2.0]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard])
def test_damaged_compression_is_one_sentence(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "access.log"
    packed = pack(b"".join(LOG.replace(b"0.0.2", b"%d.0.2" % (i * i % 251)) for i in range(20_000)))
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=f"{path}: (ends in the middle|cannot be read)"):
        read_trace(path)


def test_what_is_no_recorded_traffic_is_recognised_as_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"schema_version: 1\nname: x\n", b"\x00\x01\x02" * 100, b'{"a": 1}', b"a,b\n1,2\n"):
        path.write_bytes(content)
        assert recognise(path) is None


def test_names_are_told_apart() -> None:
    assert len({known.name for known in FORMATS}) == len(FORMATS)


def test_the_docs_show_every_format_as_the_registry_has_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "python -m tests.planner.traces.formats_table writes it anew"
    for known in FORMATS:
        assert f"| `{known.name}` |" in page
        assert "|" not in known.taken + known.left + known.title
