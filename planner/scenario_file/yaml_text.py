"""YAML as scenarios use it: the JSON-like core of YAML 1.2, duplicate keys refused, every failure one sentence.

Aliases and tags are no part of that core: nothing needs them, and a few lines of aliases can stand for gigabytes.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from planner.errors import InputError
from planner.text_files import read_text, yaml_failures

_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    """Reads plain words as YAML 1.2 does: `no` and `12:30` are text, 1e3 is a number, dates stay text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            self._refuse(f"the alias *{event.anchor} is not followed, write the value out", event)
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(f"the tag {tag} is not read, leave it out", event)
        if isinstance(event, yaml.ScalarEvent) and _NO_CHARACTER.search(event.value):
            self._refuse("a text holds what is no character (\\0 or half of a pair)", event)
        return super().compose_node(parent, index)

    @staticmethod
    def _refuse(problem: str, event: Any) -> NoReturn:
        raise yaml.composer.ComposerError(None, None, problem, event.start_mark)


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
    with yaml_failures(source):
        return yaml.load(text, _Loader)


def scalar(text: str) -> Any:
    """What a word on the command line would be in a scenario file; text that is not a plain word stays text."""
    try:
        value = parse(text, "")
    except InputError:
        return text
    return text if isinstance(value, dict | list) or value is None else value


def dump(document: Any) -> str:
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))


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
