"""Opening a file that the user has named: whatever the system objects to becomes one sentence."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from planner.errors import InputError


@contextmanager
def reading(path: Path, source: str) -> Iterator[None]:
    """Read a regular file inside; a pipe or a device could go on for ever. source: what messages call the file."""
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            raise InputError(f"{source}: is a {'folder' if stat.S_ISDIR(kind) else 'pipe or a device'}, not a file")
        yield
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except NotADirectoryError:
        raise InputError(f"{source}: no such file, a part of its path is not a folder") from None
    except UnicodeDecodeError:
        raise InputError(f"{source}: not a text file") from None
    except (EOFError, zlib.error, lzma.LZMAError):
        raise InputError(f"{source}: ends in the middle of its compressed data, or that is damaged") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{source}: cannot be read ({why})") from None


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed as they are read; a text in UTF-16 comes as UTF-8.

    Both are told by the content: a rotated log has any name.
    """
    with path.open("rb") as file:
        start = file.read(8)
    if (archive := next((name for magic, name in _ARCHIVES.items() if start.startswith(magic)), None)) is not None:
        raise InputError(f"{path}: is {archive}")
    if start.startswith(_ZSTANDARD):
        import pyarrow as pa

        raw = cast(IO[bytes], pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    else:
        opener = next((opener for magic, opener in _COMPRESSED.items() if start.startswith(magic)), None)
        raw = path.open("rb") if opener is None else cast(IO[bytes], opener(path, "rb"))
    buffered = io.BufferedReader(cast(io.RawIOBase, raw), 1 << 16)
    if buffered.peek(_TAR_AT + 5)[_TAR_AT : _TAR_AT + 5] == b"ustar":
        buffered.close()
        raise InputError(f"{path}: is a tar archive: {_UNPACK}")
    if buffered.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return io.BufferedReader(_FromUtf16(buffered), 1 << 16)
    return buffered


_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_COMPRESSED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
"""First bytes -> what reads the rest."""

_UNPACK = "unpack it and name the file in it"
_ARCHIVES = {
    b"PK\x03\x04": f"a zip archive: {_UNPACK} (an Excel workbook is one too: save its sheet as CSV)",
    b"PK\x05\x06": f"a zip archive: {_UNPACK}",
    b"7z\xbc\xaf\x27\x1c": f"a 7z archive: {_UNPACK}",
    b"Rar!": f"a rar archive: {_UNPACK}",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (or another file of Office): save its sheet as CSV",
}
"""First bytes -> what holds files, and has to be unpacked."""

_TAR_AT = 257
"""Where the header of a tar archive says so."""


class _FromUtf16(io.RawIOBase):
    """Text in UTF-16, with its byte order mark, as UTF-8 without one."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-16")()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            piece = self._file.read(1 << 15)
            self._ready = self._decoder.decode(piece, final=not piece).encode("utf-8")
            if not piece and not self._ready:
                return 0
        taken = self._ready[: len(buffer)]
        self._ready = self._ready[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        self._file.close()
        super().close()


def ending(path: Path) -> str:
    """`.csv` of requests.csv and of requests.csv.gz, in small letters."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix == ".gz" else suffix
