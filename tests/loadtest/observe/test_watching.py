"""A watcher against a server in memory that breaks, forgets and refuses on demand; the real one is in tests/cluster.

Whatever happens in between, what the watcher has told adds up to what the server has, each change is told once, and a
span in which changes were not seen as they happened is told as a gap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.observe import watching
from loadtest.observe.api import CredentialsRefused, Refused, Unreachable
from loadtest.observe.resources import Resource
from loadtest.observe.watching import Change, Gap, MissingRight, Watcher

END = "end"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_BACKOFF_S", "LONGEST_BACKOFF_S", "RIGHT_AGAIN_S", "CREDENTIALS_AGAIN_S"):
        monkeypatch.setattr(watching, name, 0.001)


@dataclass
class Server:
    """Objects by name, and every event since the last compaction. troubles: what the next calls meet, in order."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    version: int = 1
    compacted: int = 0
    troubles: list[str] = field(default_factory=list)
    page: int = 500
    lists: int = 0
    condition: threading.Condition = field(default_factory=threading.Condition)
    closed: bool = False

    def change(self, name: str, kind: str) -> None:
        with self.condition:
            self.version += 1
            thing = {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(self.version)}}
            if kind == "DELETED":
                self.objects.pop(name, None)
            else:
                kind = "MODIFIED" if name in self.objects else "ADDED"
                self.objects[name] = thing
            self.events.append((self.version, {"type": kind, "object": thing}))
            self.condition.notify_all()

    def compact(self) -> None:
        with self.condition:
            self.compacted = self.version
            self.events.clear()

    def break_watches(self, trouble: str) -> None:
        with self.condition:
            self.troubles.append(trouble)
            self.condition.notify_all()

    def _meet(self, where: str) -> None:
        if self.troubles and (self.troubles[0] != "torn" or where == "watch"):
            trouble = self.troubles.pop(0)
            if trouble == "401":
                raise CredentialsRefused(401, "Unauthorized", "the API server refuses the credentials (401)")
            if trouble in ("403", "500"):
                raise Refused(int(trouble), "Forbidden", f"HTTP {trouble}")
            raise Unreachable("connection refused")

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        with self.condition:
            self._meet("list")
            self.lists += 1
            names = sorted(self.objects)
            start = int(query.get("continue", 0))
            chosen = names[start : start + self.page]
            more = str(start + self.page) if start + self.page < len(names) else ""
            metadata = {"resourceVersion": str(self.version), "continue": more}
            return {"items": [self.objects[name] for name in chosen], "metadata": metadata}

    def watch(
        self, path: str, *, timeout_s: float, on_open: Callable[[Callable[[], object]], object], **query: Any
    ) -> Iterator[dict[str, Any]]:
        at = int(query["resourceVersion"])
        with self.condition:
            self._meet("watch")
        on_open(self.close)
        if at < self.compacted:
            yield {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}
            return
        while True:
            with self.condition:
                while not (self.closed or self.troubles or self._after(at)):
                    self.condition.wait()
                if self.closed:
                    return
                if self.troubles:
                    if self.troubles[0] == END:
                        self.troubles.pop(0)
                        return
                    self._meet("watch")
                at, event = self._after(at)[0]
            yield event
            with self.condition:
                self.condition.notify_all()

    def _after(self, version: int) -> list[tuple[int, dict[str, Any]]]:
        return [entry for entry in self.events if entry[0] > version]

    def close(self) -> None:
        with self.condition:
            self.closed = True
            self.condition.notify_all()


@dataclass
class Told:
    changes: list[Change] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    missing: list[MissingRight] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def versions(self) -> dict[str, str]:
        """What the changes add up to: version by name."""
        known: dict[str, str] = {}
        for change in list(self.changes):
            metadata = change.object["metadata"]
            if change.type == "DELETED":
                known.pop(metadata["name"], None)
            else:
                known[metadata["name"]] = metadata["resourceVersion"]
        return known


def watcher_on(server: Any) -> tuple[Watcher, Told]:
    told = Told()
    watcher = Watcher(
        server,
        Resource.PODS,
        "ml",
        told.changes.append,
        told.gaps.append,
        told.missing.append,
        told.problems.append,
    )
    return watcher, told


def agrees(server: Server, told: Told) -> bool:
    return told.versions == {n: o["metadata"]["resourceVersion"] for n, o in server.objects.items()}


def wait_for(holds: Callable[[], bool], limit_s: float = 5.0) -> bool:
    give_up_s = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > give_up_s:
            return False
        time.sleep(0.001)
    return True


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["a", "b", "c", "d", "e"]), st.sampled_from(["CHANGED", "CHANGED", "DELETED"])),
        st.tuples(st.just("server"), st.sampled_from(["refuse", "torn", "401", "403", "500", END, "compact", "look"])),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(steps=STEPS, page=st.integers(1, 4))
def test_whatever_happens_the_changes_add_up_and_none_is_told_twice(steps: list[tuple[str, str]], page: int) -> None:
    server = Server(page=page)
    for name in ("a", "b", "c"):
        server.change(name, "CHANGED")
    watcher, told = watcher_on(server)
    watcher.start()
    assert watcher.wait_listed(5.0)
    for name, kind in steps:
        if name != "server":
            server.change(name, kind)
        elif kind == "compact":
            server.compact()
            server.break_watches("refuse")
        elif kind == "look":
            wait_for(lambda: agrees(server, told), 0.05)
        else:
            server.break_watches(kind)
    assert wait_for(lambda: agrees(server, told) and not server.troubles), (told, server)
    watcher.stop()
    seen = [
        (c.object["metadata"]["uid"], c.object["metadata"]["resourceVersion"], c.type == "DELETED")
        for c in told.changes
    ]
    assert len(seen) == len(set(seen))
    assert [c.seen_s for c in told.changes] == sorted(c.seen_s for c in told.changes)
    assert all(gap.from_s < gap.to_s for gap in told.gaps)


def test_a_version_that_is_forgotten_gives_a_new_list_a_gap_and_the_differences() -> None:
    server = Server()
    for name in ("stays", "goes", "moves"):
        server.change(name, "CHANGED")
    watcher, told = watcher_on(server)
    watcher.start()
    assert wait_for(lambda: agrees(server, told))
    with server.condition:
        server.troubles += ["refuse"] * 3
    server.change("goes", "DELETED")
    server.change("moves", "CHANGED")
    server.change("comes", "CHANGED")
    server.compact()
    assert wait_for(lambda: agrees(server, told) and server.lists == 2)
    watcher.stop()
    late = {(c.type, c.object["metadata"]["name"]) for c in told.changes[3:] if c.listed}
    assert late <= {("DELETED", "goes"), ("MODIFIED", "moves"), ("ADDED", "comes")}
    assert any("410 Gone" in gap.why for gap in told.gaps)


def test_a_watch_that_the_server_ends_resumes_without_a_list_or_a_gap() -> None:
    server = Server()
    server.change("a", "CHANGED")
    watcher, told = watcher_on(server)
    watcher.start()
    assert watcher.wait_listed(5.0)
    for _ in range(5):
        server.break_watches(END)
        server.change("a", "CHANGED")
        assert wait_for(lambda: agrees(server, told))
    watcher.stop()
    assert (server.lists, told.gaps, len(told.changes)) == (1, [], 6)


def test_a_server_that_has_just_started_refuses_for_a_moment_and_no_right_is_missing() -> None:
    server = Server(troubles=["403"] * (watching.REFUSALS_BEFORE_A_RIGHT_IS_MISSING - 1))
    server.change("a", "CHANGED")
    watcher, told = watcher_on(server)
    watcher.start()
    assert wait_for(lambda: agrees(server, told))
    watcher.stop()
    assert told.missing == []


def test_a_right_that_is_missing_is_told_once_and_may_be_granted_later() -> None:
    server = Server(troubles=["403"] * (watching.REFUSALS_BEFORE_A_RIGHT_IS_MISSING + 5))
    server.change("a", "CHANGED")
    watcher, told = watcher_on(server)
    watcher.start()
    assert watcher.wait_listed(5.0)
    assert wait_for(lambda: agrees(server, told))
    watcher.stop()
    assert [(right.verb, right.resource, right.namespace) for right in told.missing] == [("list", "pods", "ml")]
    assert told.missing[0].sentence.startswith("no right to list pods in namespace ml")


def test_refused_credentials_are_told_once_and_tried_again() -> None:
    server = Server(troubles=["401"] * 4)
    server.change("a", "CHANGED")
    watcher, told = watcher_on(server)
    watcher.start()
    assert wait_for(lambda: agrees(server, told))
    watcher.stop()
    assert told.problems == ["the API server refuses the credentials (401)"]


def test_stop_ends_a_watch_that_hears_nothing_and_tells_a_gap_that_is_open() -> None:
    server = Server()
    watcher, told = watcher_on(server)
    watcher.start()
    assert watcher.wait_listed(5.0)
    with server.condition:
        server.troubles += ["refuse"] * 100_000
        server.condition.notify_all()
    time.sleep(2 * watching.SHORTEST_GAP_S)
    began_s = time.monotonic()
    watcher.stop()
    assert time.monotonic() - began_s < 1.0
    assert [gap.why for gap in told.gaps] == ["connection refused"]
