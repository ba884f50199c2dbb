"""From a file, or a parsed document, to the settings in it: what it is decides who reads it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from planner.deployment_files.arm import deployment_in, read_arm
from planner.deployment_files.documents import documents_in
from planner.deployment_files.python_call import looks_like_python, read_python
from planner.deployment_files.settings import AzureFile
from planner.deployment_files.v1 import read_v1
from planner.deployment_files.v2 import read_v2
from planner.errors import InputError
from planner.recognise.documents import DEPLOYMENTS, Kind, kind_of
from planner.recognise.sentences import not_a_deployment, what_it_is
from planner.text_files import read_text


def read_deployment_file(path: Path) -> AzureFile:
    """The settings of a deployment that a file holds. Raises InputError for one that holds none, saying what it is."""
    source = str(path)
    text = read_text(path, source)
    if path.suffix.lower() == ".py":
        return read_python(text, source)
    try:
        found = documents_in(text, source)
    except InputError:
        if looks_like_python(text):
            return read_python(text, source)
        raise
    if not found:
        raise InputError(f"{source}: the file is empty")
    if len(found) == 1:
        if isinstance(found[0], str) and looks_like_python(text):
            return read_python(text, source)
        return from_document(found[0], source, text)
    return _one_of(found, source, text)


def from_document(document: Any, source: str, text: str = "") -> AzureFile:
    """The settings of a parsed document. text: that it was parsed from, for hints."""
    found = kind_of(document)
    match found.kind:
        case Kind.DEPLOYMENT_V2:
            return read_v2(document, source, text)
        case Kind.DEPLOYMENT_V1:
            return read_v1(document, source)
        case Kind.DEPLOYMENT_ARM:
            return read_arm(document, source)
        case Kind.ARM_TEMPLATE:
            return read_arm(deployment_in(document, source), source)
    raise InputError(not_a_deployment(found, source))


def _one_of(documents: list[Any], source: str, text: str) -> AzureFile:
    """Of several documents in one file the one deployment; which one was taken is said."""
    kinds = [kind_of(document) for document in documents]
    places = [i for i, found in enumerate(kinds) if found.kind in (*DEPLOYMENTS, Kind.MANAGED)]
    if len(places) != 1:
        how = f"{len(places)} deployments" if places else "no deployment"
        raise InputError(f"{source}: holds {len(documents)} documents with {how} among them, give a file with one")
    taken = places[0]
    others = ", ".join(what_it_is(found) for i, found in enumerate(kinds) if i != taken)
    made = from_document(documents[taken], source, text)
    note = f"{source}: holds {len(documents)} documents; number {taken + 1}, the deployment, is taken, not {others}"
    return dataclasses.replace(made, warnings=(note, *made.warnings))
