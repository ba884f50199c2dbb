"""YAML as scenarios use it: the JSON-like core of YAML 1.2, duplicate keys refused, every failure one sentence."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from planner.errors import InputError


class _Loader(yaml.SafeLoader):
    """Reads plain words as YAML 1.2 does: `no` and `12:30` are text, 1e3 is a number, dates stay text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
    ("tag:yaml.org,2002:float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), ["" if c == "\0" else c for c in _first])


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: dict[Hashable, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a plain word", key_node.start_mark)
        line = key_node.start_mark.line + 1
        if key in seen:
            message = f"the key {key} stands twice, first on line {seen[key]}"
            raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def parse(text: str, source: str) -> Any:
    """The one document that the text holds."""
    try:
        return yaml.load(text, _Loader)
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
    except ValueError as error:  # a number of more digits than Python converts
        raise InputError(f"{source}: {error}") from None


def scalar(text: str) -> Any:
    """What a word on the command line would be in a scenario file; text that is not a plain word stays text."""
    try:
        value = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError):
        return text
    return text if isinstance(value, dict | list) or value is None else value


def dump(document: Any) -> str:
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))


def read_text(path: Path, source: str) -> str:
    """The text of a file, or one sentence why there is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except (IsADirectoryError, NotADirectoryError):
        raise InputError(f"{source}: is a folder, not a file") from None
    except UnicodeDecodeError:
        raise InputError(f"{source}: not a text file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{source}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if "\0" in text:
        raise InputError(f"{source}: not a text file")
    return text


def read_mapping(path: Path, source: str) -> tuple[dict[str, Any], str]:
    """The mapping that a YAML or JSON file holds, and its text."""
    text = read_text(path, source)
    document = parse(text, source)
    if document is None:
        raise InputError(f"{source}: the file is empty")
    if not isinstance(document, dict):
        raise InputError(f"{source}: must hold settings (`name: ...`), not {_kind(document)}")
    return document, text


def _kind(value: object) -> str:
    return "a list" if isinstance(value, list) else "a single value"
