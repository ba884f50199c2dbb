"""Text files that a person has named, and what is wrong with YAML in them, each failure one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from planner.errors import InputError
from planner.reading import reading

LARGEST_FILE_BYTES = 1_000_000
"""Already takes seconds to read; long lists of times belong in a CSV or Parquet file."""


def read_text(path: Path, source: str) -> str:
    """The text of a file, or one sentence why there is none."""
    with reading(path, source):
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise InputError(f"{source}: is larger than {LARGEST_FILE_BYTES // 10**6} MB")
        text = path.read_text(encoding="utf-8-sig")
    if "\0" in text:
        raise InputError(f"{source}: not a text file")
    return text


@contextmanager
def yaml_failures(source: str) -> Iterator[None]:
    """Read YAML inside: whatever PyYAML objects to becomes an InputError with the line and column."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{source}: {place}{error.problem or 'not valid YAML'}") from None
    except yaml.reader.ReaderError as error:
        raise InputError(f"{source}: not a text file (character #x{error.character:04x} at {error.position})") from None
    except yaml.YAMLError as error:
        raise InputError(f"{source}: not valid YAML ({str(error).splitlines()[0]})") from None
    except RecursionError:
        raise InputError(f"{source}: nested too deeply") from None
    except (LookupError, TypeError, AttributeError):  # a tag of YAML 1.1 on a text that it does not fit
        raise InputError(f"{source}: holds a value that does not fit its tag") from None
    except ValueError:  # a number of more digits than Python converts
        raise InputError(f"{source}: holds a number of thousands of digits") from None
