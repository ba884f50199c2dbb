"""Which requests of a file are played, and what is said of those that are not, or that look like probes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from planner.errors import InputError
from planner.model import IntArray
from planner.percent import percent
from planner.traces.records import Categories, Requests

PROBE_PATHS = (
    *("/", "/health", "/healthz", "/healthcheck", "/health-check", "/_health", "/live", "/livez", "/liveness"),
    *("/alive", "/ready", "/readyz", "/readiness", "/ping", "/status", "/metrics", "/nginx_status", "/stub_status"),
)
"""Paths that orchestrators, balancers and monitors ask for."""

PROBE_AGENTS = (
    *(
        "kube-probe",
        "prometheus",
        "elb-healthchecker",
        "googlehc",
        "edge health probe",
        "haproxy",
        "azure traffic manager",
    ),
    *(
        "load balancer agent",
        "amazon-route53-health-check",
        "consul health check",
        "uptimerobot",
        "pingdom",
        "blackbox",
    ),
    *("better uptime", "datadog", "statuscake", "site24x7", "alwayson", "health-check", "healthcheck"),
)
"""How their user agents begin, in small letters."""

_PROBE_METHODS = ("GET", "HEAD", "OPTIONS", "")

MOST_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which requests of a file are taken; None: all. paths: exactly these, their queries left out.

    methods: POST; statuses: 200, or 5xx for all that begin with 5.
    """

    paths: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self._kind, self._status)))

    @property
    def phrase(self) -> str:
        """What stands behind `requests`: `for POST /score with status 2xx`, or `with status 2xx`."""
        return " ".join(filter(None, (f"for {self._kind}" if self._kind else "", self._status)))

    @property
    def _kind(self) -> str:
        return " ".join(filter(None, (" or ".join(self.methods or ()), " or ".join(self.paths or ()))))

    @property
    def _status(self) -> str:
        return f"with status {' or '.join(self.statuses)}" if self.statuses else ""


def url_paths(value: object) -> tuple[str, ...]:
    """Paths to look for, as a person writes them: /score, or a list. A comma is part of a path.

    Raises ValueError with the bound.
    """
    paths = value if isinstance(value, list) else [value]
    if not paths or not all(isinstance(path, str) and re.fullmatch(r"/[^\s?]*", path) for path in paths):
        raise ValueError("must be a path without a query, for example /score, or a list of them")
    return tuple(paths)


def methods(value: object) -> tuple[str, ...]:
    """Methods to look for: POST, or `POST, PUT`."""
    words = _words(value)
    if not words or not all(re.fullmatch(r"[A-Za-z]{1,20}", word) for word in words):
        raise ValueError("must be a method, for example POST, or several: POST, PUT")
    return tuple(word.upper() for word in words)


def statuses(value: object) -> tuple[str, ...]:
    """Statuses to look for: 200, 5xx, or `200, 503`."""
    words = _words(value)
    if not words or not all(re.fullmatch(r"[1-5](\d\d|xx)", word.lower()) for word in words):
        raise ValueError("must be a status, for example 200 or 5xx, or several: 200, 503")
    return tuple(word.lower() for word in words)


def _words(value: object) -> list[str]:
    if isinstance(value, bool):
        return []
    items = value if isinstance(value, list) else str(value).split(",") if isinstance(value, str | int) else []
    return [str(item).strip() for item in items if isinstance(item, str | int) and not isinstance(item, bool)]


def choose(source: str, requests: Requests, wanted: Wanted) -> tuple[Requests, tuple[str, ...]]:
    """The wanted requests, and what must be said: what was left out, what the rest is, what looks like a probe.

    Raises InputError, its message beginning with `source`, where nothing is left or the file does not tell.
    """
    keep, absent = np.ones(len(requests), dtype=bool), []
    for key, known, sought in (
        ("path", requests.path, wanted.paths),
        ("method", requests.method, wanted.methods),
        ("status", requests.status, wanted.statuses),
    ):
        if sought is not None:
            fits = {word: _equal(source, key, known, word) for word in sought}
            keep &= np.logical_or.reduce(list(fits.values()))
            absent += [f"no request has the {key} {word}" for word, found in fits.items() if not found.any()]
    if keep.all():
        return requests, (*absent, *_about(requests, is_chosen=False))
    if not keep.any():
        held = _held(requests, wanted)
        raise InputError(f"{source}: no request {_sought(wanted)} in {len(requests)} lines (there are {held})")
    left, played = requests.rows(~keep), requests.rows(keep)
    note = (
        f"{len(played):,} of {len(requests):,} requests are played ({wanted}); left out: "
        f"{_held(left, wanted, len(requests))}"
    )
    return played, (note, *absent, *_about(played, is_chosen=True))


def _held(requests: Requests, wanted: Wanted, of: int | None = None) -> str:
    """Which kinds some requests are, and which statuses they have where those were asked for; of: of how many."""
    kinds = _shares(_kinds(requests), of or len(requests)) if requests.path or requests.method else ""
    by_status = f"status {_listed(requests.status)}" if wanted.statuses and requests.status else ""
    return ", ".join(filter(None, (kinds, by_status)))


def _sought(wanted: Wanted) -> str:
    only_path = wanted.methods is None and wanted.statuses is None
    return f"for the path {wanted}" if only_path else str(wanted)


def _equal(source: str, key: str, known: Categories | None, word: str) -> np.ndarray:
    if known is None:
        raise InputError(f"{source}: does not say the `{key}` of its requests, so none can be chosen by it")
    is_class = key == "status" and word.endswith("xx")
    fits = [name == word or (is_class and name[:1] == word[:1]) for name in known.names]
    return np.asarray(np.append(fits, False)[known.codes])  # code -1, not said, is the last


def _kinds(requests: Requests) -> dict[str, int]:
    """Requests of each method and path, the most frequent first."""
    numbers, names = _pairs(requests)
    counts = np.bincount(numbers, minlength=len(names))
    return {names[i]: int(counts[i]) for i in np.argsort(-counts, kind="stable") if counts[i]}


def _pairs(requests: Requests) -> tuple[IntArray, list[str]]:
    """A number for each request's method and path, and the names of the numbers."""
    nothing = Categories(np.full(len(requests), -1), ())
    method, path = requests.method or nothing, requests.path or nothing
    pair = (method.codes + 1) * (len(path.names) + 1) + path.codes + 1
    found, numbers = np.unique(pair, return_inverse=True)
    names = []
    for number in found:
        m, p = divmod(int(number), len(path.names) + 1)
        words = [method.names[m - 1] if m else "", path.names[p - 1] if p else "(no path)"]
        names.append(" ".join(word for word in words if word))
    return np.asarray(numbers).reshape(-1), names


def _shares(kinds: dict[str, int], of: int) -> str:
    shown = [
        f"{cut_text(name, 40)} {count:,} ({percent(count / of)})" for name, count in list(kinds.items())[:MOST_SHOWN]
    ]
    if len(kinds) > MOST_SHOWN:
        others = sum(list(kinds.values())[MOST_SHOWN:])
        shown.append(f"{len(kinds) - MOST_SHOWN} other kinds {others:,} ({percent(others / of)})")
    return ", ".join(shown)


def _listed(known: Categories) -> str:
    counts = known.counts()
    shown = [f"{cut_text(name, 10)} {count:,}" for name, count in list(counts.items())[:MOST_SHOWN]]
    return ", ".join([*shown, *([f"{len(counts) - MOST_SHOWN} others"] if len(counts) > MOST_SHOWN else [])])


def _about(requests: Requests, *, is_chosen: bool) -> tuple[str, ...]:
    notes = []
    kinds = _kinds(requests) if requests.path is not None or requests.method is not None else {}
    statuses = requests.status.counts() if requests.status is not None else {}
    if len(kinds) > 1 or len(statuses) > 1:
        of_which = "of them" if is_chosen else "requests"
        by_kind = f"are {_shares(kinds, len(requests))}" if kinds else ""
        by_status = f"status {_listed(requests.status)}" if requests.status is not None and len(statuses) > 1 else ""
        held = f"{by_kind}; {by_status}" if by_kind and by_status else by_kind or f"have {by_status}"
        notes.append(f"{len(requests):,} {of_which} {held}; all are played alike")
    if probes := _probes(requests):
        others = [name for name in kinds if name not in probes]
        out = f": {_how_to_leave_out(others[0])} leaves them out" if others else ""
        share = _shares(probes, len(requests))
        notes.append(f"likely probes are played as scoring requests: {share}{out}")
    return tuple(notes)


def _how_to_leave_out(main: str) -> str:
    method, _, path = main.partition(" ")
    by_path = path.startswith("/") and path == cut_text(path)
    return f"`path: {path}` (--path)" if by_path else f"`method: {method}` (--method)"


def _probes(requests: Requests) -> dict[str, int]:
    """Kinds that are likely health probes or scrapes: asked without a body, for their paths or by their agents."""
    if requests.path is None and requests.agent is None:
        return {}
    nothing = Categories(np.full(len(requests), -1), ())
    method, path, agent = requests.method or nothing, requests.path or nothing, requests.agent or nothing
    asks = np.append([name.upper() in _PROBE_METHODS for name in method.names], True)[method.codes].astype(bool)
    by_path = np.append([name.rstrip("/").lower() in PROBE_PATHS or name == "/" for name in path.names], False)[
        path.codes
    ]
    by_agent = np.append([name.lower().startswith(PROBE_AGENTS) for name in agent.names], False)[agent.codes]
    is_probe = asks & (by_path.astype(bool) | by_agent.astype(bool))
    return _kinds(requests.rows(is_probe)) if is_probe.any() else {}


def cut_text(text: str, most: int = 60) -> str:
    """A text from a file as a message shows it: on one line, printable, cut."""
    text = " ".join(text[: 4 * most].split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= most else text[: most - 3] + "..."
