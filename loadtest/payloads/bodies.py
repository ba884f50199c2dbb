"""The body of each request, made at the moment it is sent."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np

from planner.body_template import BodyTemplate
from planner.model import IntArray
from planner.request import DEFAULT_CHECK, Header, ResponseCheck


class PayloadKind(StrEnum):
    """How the body of a request comes about."""

    SERVICE_TIME = "service_time"
    """What the lab's model reads: the request's number and how long to work."""
    FIXED = "fixed"
    LINES = "json_lines"
    FILES = "files"
    TEMPLATE = "template"


@dataclass(frozen=True, kw_only=True, eq=False)
class Payloads:
    """What a replay sends. A request's payload id is its entry in `bodies` and `names`.

    payload_id: int64, shape (n,), 0 where there are no entries; empty when read from a pack (the schedule holds the
    ids). bodies: the different bodies, or the rows of a template, as JSON; names: the trace's `payload` of each entry,
    if a template may use it. seed: of the template's uuid. source: a sentence.
    """

    kind: PayloadKind
    source: str
    payload_id: IntArray
    bodies: tuple[bytes, ...] = field(default=(), repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)
    template: str | None = field(default=None, repr=False)
    template_source: str = "template"
    headers: tuple[Header, ...] = ()
    check: ResponseCheck = DEFAULT_CHECK
    seed: int = 0
    _make: Callable[[int, int, float, float], bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.payload_id.flags.writeable = False
        object.__setattr__(self, "_make", self._maker())

    @property
    def fixed(self) -> bool:
        """Every request carries the same bytes."""
        return self.kind is PayloadKind.FIXED

    @property
    def count(self) -> int:
        """Different entries that the pack holds; 0 where each body is made of the request alone."""
        return max(len(self.bodies), len(self.names))

    def body(self, index: int, payload_id: int, service_time_s: float, scheduled_s: float) -> bytes:
        """The body of request `index`. Raises InputError only if a template fails on a request that nobody tried."""
        return self._make(index, payload_id, service_time_s, scheduled_s)

    def _maker(self) -> Callable[[int, int, float, float], bytes]:
        match self.kind:
            case PayloadKind.SERVICE_TIME:
                return lambda index, _, service_time_s, __: (
                    b'{"request": %d, "service_time_s": %.9g}' % (index, service_time_s)
                )
            case PayloadKind.FIXED:
                only = self.bodies[0]
                return lambda _, __, ___, ____: only
            case PayloadKind.LINES | PayloadKind.FILES:
                bodies = self.bodies
                return lambda _, payload_id, __, ___: bodies[payload_id]
            case PayloadKind.TEMPLATE:
                template = BodyTemplate(self.template or "", self.template_source)
                values_of = self._values_of(template)
                return lambda *request: template.render(values_of(*request))

    def values_of(self) -> Callable[[int, int, float, float], dict[str, Any]]:
        """What a template may use, for a request."""
        return self._values_of(BodyTemplate(self.template or "", self.template_source))

    def _values_of(self, template: BodyTemplate) -> Callable[[int, int, float, float], dict[str, Any]]:
        rows = [json.loads(body) for body in self.bodies] if "row" in template.names else []
        names = self.names if "payload" in template.names else ()
        has_uuid = "uuid" in template.names

        def values(index: int, payload_id: int, service_time_s: float, scheduled_s: float) -> dict[str, Any]:
            found: dict[str, Any] = {"request": index, "service_time_s": service_time_s, "scheduled_s": scheduled_s}
            if rows:
                found["row"] = rows[payload_id]
            if names:
                found["payload"] = names[payload_id]
            if has_uuid:
                found["uuid"] = _uuid(self.seed, index)
            return found

        return values

    def described(self) -> dict[str, Any]:
        """Everything but the entries, as JSON has it. Of a secret header it knows the variable's name alone."""
        check = self.check
        return {
            "kind": self.kind.value,
            "source": self.source,
            "template": self.template,
            "template_source": self.template_source,
            "headers": [[header.name, header.value, header.variable] for header in self.headers],
            "check": [check.status, check.field, check.compares, check.equals, check.body.value],
            "seed": self.seed,
        }

    @cached_property
    def sha256(self) -> str:
        """Hash of the content: the description and every entry with its length, in order."""
        head = json.dumps(self.described(), sort_keys=True)
        digest = hashlib.sha256(f"surgeproof payloads 1: {len(self.bodies)} {len(self.names)}\n{head}\n".encode())
        for entry in (*self.bodies, *(name.encode() for name in self.names)):
            digest.update(b"%d\n" % len(entry))
            digest.update(entry)
        return digest.hexdigest()


def _uuid(seed: int, index: int) -> str:
    digest = hashlib.sha256(b"surgeproof uuid %d %d" % (seed, index)).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


NO_IDS: IntArray = np.empty(0, dtype=np.int64)
"""The payload ids of a pack: they are in the schedule."""
