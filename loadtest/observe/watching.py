"""Lists a resource once, then watches it from there, through everything that a network and a server do to a watch.

After a break the watch resumes from the last version seen; a server that has forgotten it (410 Gone) gets a new list,
whose differences are told as changes. So no change is lost for good; when one could not be seen as it happened, that is
told as a gap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from loadtest.observe.api import ApiError, CredentialsRefused, KubernetesApi, Refused
from loadtest.observe.resources import Resource

PAGE = 500
WATCH_S = 20.0
"""After so long the server is asked to end a watch, which then resumes; a server that says nothing is noticed then."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.2, 5.0
RIGHT_AGAIN_S = 10.0
"""Rights may be granted while one watches."""
REFUSALS_BEFORE_A_RIGHT_IS_MISSING = 6
"""An API server that has just started refuses everything for a second, until it has read its roles."""
CREDENTIALS_AGAIN_S = 5.0
STOP_LIMIT_S = 0.5
"""For a thread to end; one that waits for an answer that does not come is left behind, and tells nothing any more."""
SHORTEST_GAP_S = 0.05
"""Between two watches of a server that is there nothing is missed: they resume by version."""

Json = dict[str, Any]
Told = TypeVar("Told")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of one object, at the instant of this machine's monotonic clock at which it was told.

    listed: it comes from a list, so that nobody saw when it happened; a DELETED one is then an object that a new list
    no longer had.
    """

    seen_s: float
    resource: Resource
    type: str
    object: Json
    listed: bool


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Changes between the two instants could not be seen as they happened."""

    resource: Resource
    from_s: float
    to_s: float
    why: str


@dataclass(frozen=True, kw_only=True)
class MissingRight:
    """namespace None: the right is wanted for the whole cluster."""

    verb: str
    resource: str
    namespace: str | None
    message: str

    @property
    def sentence(self) -> str:
        where = "in the whole cluster" if self.namespace is None else f"in namespace {self.namespace}"
        return f"no right to {self.verb} {self.resource} {where}: what they would tell is not recorded"


class Watcher:
    """One resource, followed by one thread, from which every callback comes, in order."""

    def __init__(
        self,
        api: KubernetesApi,
        resource: Resource,
        namespace: str,
        on_change: Callable[[Change], object],
        on_gap: Callable[[Gap], object],
        on_missing: Callable[[MissingRight], object],
        on_problem: Callable[[str], object],
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> None:
        self.resource = resource
        self._api, self._namespace = api, namespace
        self._path = resource.path(namespace)
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._query: dict[str, object] = {name: value for name, value in selectors.items() if value}
        self._on_change, self._on_gap, self._on_missing, self._on_problem = on_change, on_gap, on_missing, on_problem
        self._version = ""
        self._objects: dict[str, Json] = {}
        self._alive_s = time.monotonic()
        self._broken: str | None = None
        self._refusals = 0
        self._backoff_s = FIRST_BACKOFF_S
        self._in_pages = True
        self._missing_told: set[str] = set()
        self._problems_told: set[str] = set()
        self._end_watch: Callable[[], object] = lambda: None
        self._telling = threading.RLock()
        self._is_asking = self._is_over = False
        self._listed, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{resource.label}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_listed(self, timeout_s: float) -> bool:
        """Whether the first list has been told, or cannot be for want of a right."""
        return self._listed.wait(timeout_s)

    def stop(self) -> None:
        """End the thread, also while it waits for an answer; a gap that is still open is told, then nothing more."""
        self._stopping.set()
        self._end_watch()
        if self._thread.is_alive():
            self._thread.join(STOP_LIMIT_S)
        with self._telling:
            if self._thread.is_alive() and self._is_asking:
                self._break("the API server does not answer")
            if self._broken is not None and self._listed.is_set():
                self._tell_gap(time.monotonic())
            self._is_over = True

    # The thread.

    def _run(self) -> None:
        """Nobody would see that a thread has ended by itself."""
        try:
            self._follow()
        except Exception as error:
            what = f"internal error ({type(error).__name__}: {error})"
            self._tell(self._on_problem, f"{self.resource.label} are watched no more: {what}")
            raise

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                if not self._version:
                    self._list()
                self._watch()
                self._backoff_s = FIRST_BACKOFF_S
            except CredentialsRefused as error:
                self._break(str(error))
                self._tell_problem(str(error))
                self._stopping.wait(CREDENTIALS_AGAIN_S)
            except Refused as error:
                if error.status == 410:
                    self._forgotten()
                elif error.status == 403:
                    self._refused(error)
                else:
                    self._break(f"the API server answers {error.status}: {error}")
                    self._back_off()
            except ApiError as error:
                if self._stopping.is_set():
                    return
                self._break(str(error))
                self._back_off()

    def _forgotten(self) -> None:
        if self._version:
            forgotten = f"410 Gone: the API server has forgotten version {self._version}, listed anew"
            self._broken = "; then ".join(filter(None, [self._broken, forgotten]))
            self._version = ""
        else:
            self._in_pages = False  # the list's own version was forgotten before its last page
        self._back_off()

    def _refused(self, error: Refused) -> None:
        self._refusals += 1
        if self._refusals < REFUSALS_BEFORE_A_RIGHT_IS_MISSING:
            self._break(f"403 Forbidden: {error}")
            self._stopping.wait(FIRST_BACKOFF_S)
            return
        self._tell_missing(error)
        self._stopping.wait(RIGHT_AGAIN_S)

    def _list(self) -> None:
        found: dict[str, Json] = {}
        query: dict[str, object] = {"limit": PAGE, **self._query} if self._in_pages else {**self._query}
        self._is_asking = True
        while True:
            page = self._api.get(self._path, **query)
            for thing in page.get("items") or []:
                found[str(thing["metadata"]["uid"])] = thing
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        self._is_asking = False
        seen_s = time.monotonic()
        if self._listed.is_set():
            why, self._broken = self._broken or "listed anew", None
            self._tell(self._on_gap, Gap(resource=self.resource, from_s=self._alive_s, to_s=seen_s, why=why))
        for uid in [uid for uid in self._objects if uid not in found]:
            self._tell_change("DELETED", self._objects.pop(uid), seen_s, listed=True)
        for uid, thing in found.items():
            known = self._objects.get(uid)
            if known is None or _version(known) != _version(thing):
                kind = "ADDED" if known is None else "MODIFIED"
                self._objects[uid] = thing
                self._tell_change(kind, thing, seen_s, listed=True)
        self._version = str(metadata.get("resourceVersion") or "")
        self._alive_s = seen_s
        self._refusals = 0
        self._listed.set()

    def _watch(self) -> None:
        query = {"resourceVersion": self._version, "allowWatchBookmarks": "true", **self._query}
        began_s = time.monotonic()
        self._is_asking = True
        for event in self._api.watch(self._path, timeout_s=WATCH_S, on_open=self._opened, **query):
            if self._stopping.is_set():
                return
            self._take(event)
        self._alive_s = time.monotonic()
        # Whatever ends every watch at once must not be asked a thousand times a second.
        self._stopping.wait(max(0.0, began_s + FIRST_BACKOFF_S - self._alive_s))

    def _opened(self, end: Callable[[], object]) -> None:
        self._end_watch, self._is_asking = end, False
        if self._stopping.is_set():
            end()
        now_s = time.monotonic()
        self._refusals = 0
        self._problems_told.clear()
        if self._broken is not None:
            self._tell_gap(now_s)
        self._alive_s = now_s

    def _take(self, event: Json) -> None:
        thing, kind = event.get("object") or {}, str(event.get("type"))
        if kind == "ERROR":
            raise Refused(
                int(thing.get("code") or 500), str(thing.get("reason") or ""), str(thing.get("message") or "")
            )
        seen_s = self._alive_s = time.monotonic()
        self._backoff_s = FIRST_BACKOFF_S
        self._version = _version(thing) or self._version
        if kind == "BOOKMARK":
            return
        uid = str(thing["metadata"]["uid"])
        if kind == "DELETED":
            self._objects.pop(uid, None)
        else:
            self._objects[uid] = thing
        self._tell_change(kind, thing, seen_s, listed=False)

    def _tell(self, whom: Callable[[Told], object], what: Told) -> None:
        with self._telling:
            if not self._is_over:
                whom(what)

    def _tell_change(self, kind: str, thing: Json, seen_s: float, *, listed: bool) -> None:
        change = Change(seen_s=seen_s, resource=self.resource, type=kind, object=thing, listed=listed)
        self._tell(self._on_change, change)

    def _break(self, why: str) -> None:
        self._broken = self._broken or why

    def _tell_gap(self, to_s: float) -> None:
        why, self._broken = self._broken or "", None
        if to_s - self._alive_s >= SHORTEST_GAP_S:
            self._tell(self._on_gap, Gap(resource=self.resource, from_s=self._alive_s, to_s=to_s, why=why))

    def _back_off(self) -> None:
        self._stopping.wait(self._backoff_s)
        self._backoff_s = min(2 * self._backoff_s, LONGEST_BACKOFF_S)

    def _tell_missing(self, error: Refused) -> None:
        verb = "watch" if self._version else "list"
        if verb not in self._missing_told:
            self._missing_told.add(verb)
            namespace = self._namespace if self.resource.namespaced else None
            right = MissingRight(verb=verb, resource=self.resource.label, namespace=namespace, message=str(error))
            self._tell(self._on_missing, right)
        self._listed.set()

    def _tell_problem(self, sentence: str) -> None:
        if sentence not in self._problems_told:
            self._problems_told.add(sentence)
            self._tell(self._on_problem, sentence)


def _version(thing: Json) -> str:
    return str((thing.get("metadata") or {}).get("resourceVersion") or "")
