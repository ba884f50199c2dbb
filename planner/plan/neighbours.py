"""Settings one step away from another, among those searched."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from planner.plan.settings import Setting

FIELDS = ("min_replicas", "max_replicas", "target_percent", "max_concurrent")


class Neighbours:
    """Of a set of settings: those that differ in one field only, which is the next higher or lower there."""

    def __init__(self, settings: Iterable[Setting]) -> None:
        self._lines: dict[tuple[str, Setting], list[int]] = defaultdict(list)
        self._at: dict[tuple[str, Setting, int], Setting] = {}
        for setting in sorted(settings):
            for name in FIELDS:
                line, value = _line(name, setting)
                self._lines[name, line].append(value)
                self._at[name, line, value] = setting

    def of(self, setting: Setting) -> list[Setting]:
        """Those of a setting, which is one of the set; the static ones (min = max) are each other's too."""
        found = []
        for name in FIELDS:
            line, value = _line(name, setting)
            values = self._lines[name, line]
            i = bisect_left(values, value)
            found += [self._at[name, line, v] for v in (*values[max(0, i - 1) : i], *values[i + 1 : i + 2])]
        return list(dict.fromkeys(found))

    def lines(self, setting: Setting) -> list[list[Setting]]:
        """From a setting away, in both directions of each field, the nearest first."""
        found = []
        for name in FIELDS:
            line, value = _line(name, setting)
            values = self._lines[name, line]
            i = bisect_left(values, value)
            for away in (values[:i][::-1], values[i + 1 :]):
                found.append([self._at[name, line, v] for v in away])
        return found


def _line(name: str, setting: Setting) -> tuple[Setting, int]:
    """What a setting has in common with those on one line with it, and its place there."""
    if name == "min_replicas" and setting.min_replicas == setting.max_replicas:
        return dataclasses.replace(setting, min_replicas=0, max_replicas=0), setting.min_replicas
    size = {"worker_count": 0} if name == "max_concurrent" else {}
    return dataclasses.replace(setting, **{name: 0}, **size), getattr(setting, name)
