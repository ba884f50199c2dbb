"""Opening a file that the user has named: whatever the system objects to becomes one sentence."""

from __future__ import annotations

import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

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
    except (EOFError, zlib.error):
        raise InputError(f"{source}: ends in the middle of its compressed data, or that is damaged") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{source}: cannot be read ({why})") from None


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file; those of a name in .gz are decompressed as they are read."""
    compressed = path.suffix.lower() == ".gz"
    return cast(IO[bytes], gzip.open(path, "rb") if compressed else path.open("rb"))


def ending(path: Path) -> str:
    """`.csv` of requests.csv and of requests.csv.gz, in small letters."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix == ".gz" else suffix
