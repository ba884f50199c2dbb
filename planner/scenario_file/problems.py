"""What is wrong with a scenario file, a sentence for each problem: `FILE: dotted.path = value, the bound it breaks`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from planner.errors import InputError
from planner.request import looks_secret
from planner.scenario_file import interval_form, schema, trace_form
from planner.shown import shown

Path = tuple[str | int, ...]

MODELS: dict[str, type[BaseModel]] = {
    name: model
    for name, model in (vars(schema) | vars(interval_form) | vars(trace_form)).items()
    if isinstance(model, type) and issubclass(model, BaseModel)
}
TAGS = MODELS.keys() | {"ConstantTime", "TraceWord", "ArrivalWord", interval_form.PLAIN_VALUE}
"""Steps in pydantic's error locations that are not keys of the file."""

ARRIVALS_FORMS = "must be regular, poisson, {gamma: {cv: ...}}, {mmpp: {rates: ..., switching: ...}} or {trace: {...}}"


class Problems:
    """Gathers problems of one document. overridden: dotted paths whose values came from options, not from the file."""

    def __init__(self, source: str, document: Mapping[str, Any], overridden: Iterable[str] = ()) -> None:
        self.source = source
        self.document = document
        self.overridden = frozenset(overridden)
        self.sentences: list[str] = []
        self.bad: list[Path] = []

    def add(self, path: Path, bound: str) -> None:
        """A value that breaks a bound."""
        self.sentences.append(f"{self.label(path)}, {bound}")
        self.bad.append(path)

    def missing(self, path: Path, why: str = "") -> None:
        self.sentences.append(f"{self.source}: {dotted(path)} is missing{why}")
        self.bad.append(path)

    def about(self, path: Path, sentence: str) -> None:
        """A sentence about a place, its value not shown."""
        self.sentences.append(f"{self.source}: {dotted(path)}: {sentence}" if path else f"{self.source}: {sentence}")
        self.bad.append(path)

    def of_file(self, path: Path, error: InputError) -> None:
        """What is wrong with a file named at a path: said of the key if the file is not there, else of the file."""
        if any(words in error.problems[0] for words in ("no such file", "is a folder", "is a pipe")):
            self.add(path, error.problems[0].rpartition(": ")[2])
        else:
            self.foreign(path, error)

    def foreign(self, path: Path, error: InputError) -> None:
        """Problems that are sentences already."""
        self.sentences.extend(error.problems)
        self.bad.append(path)

    def is_bad(self, *path: str | int) -> bool:
        """Whether a problem is known at, inside or around a path."""
        return any(known[: len(path)] == path or path[: len(known)] == known for known in self.bad)

    def is_override(self, path: Path) -> bool:
        return dotted(path) in self.overridden

    def label(self, path: Path) -> str:
        """`FILE: dotted.path = value`, or the option that set it."""
        place = option(path) if self.is_override(path) else f"{self.source}: {dotted(path)}"
        return place if _is_private(path) else f"{place} = {shown(value_at(self.document, path))}"

    def raise_if_any(self) -> None:
        if self.sentences:
            raise InputError(*self.sentences)

    def read(self, error: ValidationError) -> None:
        """Add everything that pydantic found."""
        for found in error.errors():
            self._translate(found["type"], found["loc"], found)

    def _translate(self, kind: str, location: Path, found: Mapping[str, Any]) -> None:
        path = tuple(step for step in location if step not in TAGS)
        value, context = found.get("input"), found.get("ctx", {})
        match kind:
            case "missing":
                self.missing(path)
            case "extra_forbidden":
                self.add(path, "unknown key" + _hint(str(path[-1]), _keys_at(location[:-1])))
            case "invalid_key":
                self.about(path[:-1], f"the key {shown(path[-1])} must be text")
            case "value_error":
                self.add(path, str(context["error"]))
            case "literal_error":
                choices = context["expected"].replace("'", "")
                words = choices.replace(" or ", ", ").split(", ")
                self.add(path, f"must be {choices}" + _did_you_mean(str(value), words))
            case interval_form.OUT_OF_ORDER:
                for key, bound, other in context["disorder"]:
                    self.add((*path, key), f"{bound} ({shown(value_at(value, (other,)))})")
            case schema.UNKNOWN_ARRIVALS:
                self.add(path, ARRIVALS_FORMS)
            case trace_form.UNKNOWN_STEP_ARRIVALS:
                self.add(path, "must be regular, poisson or {gamma: {cv: 3}}")
            case schema.UNKNOWN_DISTRIBUTION:
                self._unknown_distribution(path, value)
            case _:
                self.add(path, _plain(kind, found))

    def _unknown_distribution(self, path: Path, value: Any) -> None:
        names = ", ".join(schema.DISTRIBUTIONS)
        if isinstance(value, Mapping) and "distribution" in value:
            name = value["distribution"]
            self.add((*path, "distribution"), f"must be one of {names}" + _did_you_mean(name, schema.DISTRIBUTIONS))
        else:
            self.missing((*path, "distribution"), f" (one of {names})")


def _plain(kind: str, found: Mapping[str, Any]) -> str:
    context = found.get("ctx", {})
    sentences = {
        "model_type": "must hold settings (`key: value`)",
        "list_type": "must be a list",
        "string_type": "must be text",
        "bool_type": "must be true or false",
        "too_short": f"must have at least {context.get('min_length')} entries",
        "string_pattern_mismatch": "must be up to 64 letters, digits, . _ or -, a letter or digit first",
    }
    return sentences.get(kind, str(found["msg"]))


def _keys_at(location: Path) -> list[str]:
    """The keys that a mapping may have, found by walking the models along pydantic's location."""
    model: type[BaseModel] | None = MODELS["ScenarioForm"]
    for step in location:
        if step in TAGS:
            model = MODELS.get(str(step))
        elif isinstance(step, str) and model is not None:
            field = next((f for n, f in model.model_fields.items() if step in (n, f.alias)), None)
            model = None if field is None else _model_in(field.annotation)
    return [] if model is None else [f.alias or n for n, f in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _did_you_mean(word: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _hint(key: str, known: list[str]) -> str:
    """What an unknown key may have been meant for: a similar one, or the interval of a mean."""
    if key in interval_form.KEYS and "mean" in known:
        return "; an interval is the value of mean: {low: ..., mid: ..., high: ...}"
    return _did_you_mean(key, known)


def dotted(path: Path) -> str:
    """traffic.rate[1].rps"""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")


def option(path: Path) -> str:
    """The name of the option that overrides a setting: it carries the setting's name."""
    if path == ("traffic", "arrivals", "trace", "file"):
        return "--trace"
    is_option = len(path) == 1 or path[:-1] in (("deployment",), ("traffic", "arrivals", "trace"))
    return f"--{str(path[-1]).replace('_', '-')}" if is_option else dotted(path)


def _is_private(path: Path) -> bool:
    """Whether the value at a path may be a secret, however deep it lies."""
    may_hold_one = path[:1] in (("request",), ("deployment",))
    return path[:2] == ("request", "headers") or (may_hold_one and looks_secret(str(path[-1])))


def value_at(document: Any, path: Path) -> Any:
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document
