"""What the lab did and when: every event in memory for /lab/log, and on request as JSON lines in a file."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Callable, Collection
from itertools import islice
from pathlib import Path

from planner.errors import InputError

Event = dict[str, object]

EVENTS_KEPT = 200_000
"""In memory; about 100 MB of them."""
EVENTS_PER_PAGE = 10_000


class EventLog:
    """Numbered events, oldest first. Numbers (`seq`) start at 1 and never repeat."""

    def __init__(self, now: Callable[[], float], path: Path | None = None) -> None:
        self._now = now
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._last = 0
        try:
            self._file = None if path is None else path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise InputError(f"--log {path}: cannot be written ({error.strerror})") from None

    def add(self, kind: str, **fields: object) -> None:
        """Note an event of this instant."""
        self._last += 1
        event: Event = {"seq": self._last, "kind": kind, "monotonic_s": self._now(), **fields}
        self._events.append(event)
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk must not end the run
                self._file.write(json.dumps(event, allow_nan=False) + "\n")

    def after(self, seq: int, kinds: Collection[str] = ()) -> list[Event]:
        """The events after number seq, EVENTS_PER_PAGE at most; of the given kinds, or of all."""
        first = self._last - len(self._events) + 1
        later = islice(self._events, max(0, seq + 1 - first), None)
        chosen = (event for event in later if not kinds or event["kind"] in kinds)
        return list(islice(chosen, EVENTS_PER_PAGE))

    def close(self) -> None:
        """Close the file; later events stay in memory only."""
        if self._file is not None:
            self._file.close()
            self._file = None
