"""Settings one step away, against a search through all of them."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from planner.plan.neighbours import FIELDS, Neighbours
from planner.plan.settings import Setting

sets = st.sets(
    st.builds(
        lambda low, more, target, size: Setting(low, low + more, target if more else 70, size, size),
        st.integers(1, 4),
        st.integers(0, 3),
        st.sampled_from([50, 60, 70, 90]),
        st.sampled_from([1, 2, 4]),
    ),
    min_size=1,
    max_size=60,
)


def is_static(setting: Setting) -> bool:
    return setting.min_replicas == setting.max_replicas


def on_line(name: str, setting: Setting, all_of_them: set[Setting]) -> list[Setting]:
    """All that differ from it in this field only, in order; the static ones differ in their count."""
    if name == "min_replicas" and is_static(setting):
        same = {s for s in all_of_them if is_static(s) and s.max_concurrent == setting.max_concurrent}
    else:
        free = {name, "worker_count"} if name == "max_concurrent" else {name}
        fixed = [f.name for f in dataclasses.fields(Setting) if f.name not in free]
        same = {s for s in all_of_them if all(getattr(s, f) == getattr(setting, f) for f in fixed)}
        if name == "min_replicas":
            same = {s for s in same if not is_static(s)}
    return sorted(same, key=lambda s: getattr(s, name))


@settings(max_examples=100, deadline=None)
@given(sets)
def test_neighbours_are_the_next_in_each_field(all_of_them: set[Setting]) -> None:
    near = Neighbours(all_of_them)
    for setting in all_of_them:
        wanted, lines = set(), []
        for name in FIELDS:
            line = on_line(name, setting, all_of_them)
            i = line.index(setting)
            wanted |= {line[j] for j in (i - 1, i + 1) if 0 <= j < len(line)}
            lines += [line[:i][::-1], line[i + 1 :]]
        found = near.of(setting)
        assert len(found) == len(set(found))
        assert set(found) == wanted
        assert setting not in found
        assert near.lines(setting) == lines


@settings(max_examples=50, deadline=None)
@given(sets)
def test_being_neighbours_is_mutual(all_of_them: set[Setting]) -> None:
    near = Neighbours(all_of_them)
    pairs = {(a, b) for a in all_of_them for b in near.of(a)}
    assert pairs == {(b, a) for a, b in pairs}


def test_an_example() -> None:
    near = Neighbours([Setting(low, high, 70) for low in (1, 2, 4, 8) for high in (4, 8) if low <= high])
    assert near.of(Setting(2, 8, 70)) == [Setting(1, 8, 70), Setting(4, 8, 70), Setting(2, 4, 70)]
    assert near.of(Setting(4, 4, 70)) == [Setting(8, 8, 70), Setting(4, 8, 70)]
    assert near.lines(Setting(1, 8, 70))[:2] == [[], [Setting(2, 8, 70), Setting(4, 8, 70)]]
