"""The documents that one of Azure's files holds: YAML as Azure's own client reads it, or JSON.

Azure's client reads YAML 1.1 with anchors, aliases, merge keys and tags. Two things are read otherwise here. A key that
stands twice is refused, where that client takes the last without a word. Aliases may stand for so much and no more.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from pathlib import PurePath
from typing import Any

import yaml

from planner.errors import InputError
from planner.text_files import yaml_failures

MOST_VALUES = 100_000
"""Values in a file, each alias written out. A deployment has fewer than a hundred."""

_MERGE = "tag:yaml.org,2002:merge"


def documents_in(text: str, source: str) -> list[Any]:
    """Every document that a text holds which is not empty: JSON by the name's ending, else YAML 1.1."""
    if PurePath(source).suffix.lower() == ".json":
        return [_json(text, source)]
    with yaml_failures(source):
        loader = yaml.SafeLoader(text)
        try:
            found = []
            while loader.check_node():
                node: Any = loader.get_node()
                _size(node, {})
                found.append(loader.construct_document(node))
        finally:
            loader.dispose()
    return [document for document in found if document is not None]


def _size(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Values below a node, aliases written out. known: of nodes by id, None while a node is being counted."""
    if id(node) in known:
        size = known[id(node)]
        if size is None:
            raise yaml.composer.ComposerError(None, None, "an alias stands inside its own anchor", node.start_mark)
        return size
    known[id(node)] = None
    if isinstance(node, yaml.MappingNode):
        _refuse_second_keys(node)
        inner = [part for pair in node.value for part in pair]
    else:
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
    size = 1 + sum(_size(part, known) for part in inner)
    if size > MOST_VALUES:
        problem = f"holds more than {MOST_VALUES:,} values once its aliases are written out"
        raise yaml.composer.ComposerError(None, None, problem, node.start_mark)
    known[id(node)] = size
    return size


def _refuse_second_keys(node: yaml.MappingNode) -> None:
    seen: dict[Hashable, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        name = (key.tag, key.value)
        if name in seen:
            message = f"the key {key.value} stands twice, first on line {seen[name]}"
            raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
        seen[name] = key.start_mark.line + 1


def _json(text: str, source: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except _TwiceError as twice:
        raise InputError(f"{source}: the key {twice} stands twice in one object") from None
    except (ValueError, RecursionError) as error:  # ValueError: a number of more digits than Python converts
        place = f"line {error.lineno}, column {error.colno}: " if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{source}: {place}not valid JSON") from None


class _TwiceError(Exception):
    """A key of an object that stands in it twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _TwiceError(key)
        made[key] = value
    return made
