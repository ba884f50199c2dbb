"""Why the pods of a start do not come up, and whether it can still pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from loadtest.observe.api import ApiError, KubernetesApi
from loadtest.observe.diagnosis import Cause, diagnose, findings_document, take_snapshot

FIRST_LOOK_S, PERIOD_S = 10.0, 5.0
MAY_PASS = frozenset(
    {
        Cause.DOES_NOT_FIT,
        Cause.NO_NODE_ADDED,
        Cause.SCHEDULING_GATED,
        Cause.CLAIM_NOT_BOUND,
        Cause.REGISTRY_UNREACHABLE,
        Cause.IMAGE_STILL_PULLED,
        Cause.NO_ADDRESS_LEFT,
        Cause.SANDBOX_FAILS,
        Cause.VOLUME_FAILS,
        Cause.EVICTED,
        Cause.NODE_REFUSED,
        Cause.NODE_SHUTDOWN,
        Cause.PREEMPTED,
        Cause.NODE_LOST,
        Cause.INIT_DOES_NOT_END,
        Cause.INIT_CONTAINER_DOES_NOT_END,
        Cause.SIDECAR_NOT_READY,
        Cause.READINESS_GATE,
        Cause.PROGRESS_DEADLINE,
        Cause.NOT_KNOWN,
    }
)
"""A node may be added or come back, and a registry too; what waits may end. Then the time limit decides."""
NO_MATTER = "run_raised"
"""Says nothing of a start."""


class StartTrouble:
    """`look` asks the cluster now and then. `reason`: the newest one for which pods are not ready, or nothing."""

    def __init__(self, api: KubernetesApi, deployment: dict[str, Any], on_progress: Callable[[str], None]) -> None:
        self._api, self._deployment, self._on_progress = api, deployment, on_progress
        self._next_look_s = asyncio.get_running_loop().time() + FIRST_LOOK_S
        self._was_hopeless = False
        self.reason = ""

    async def look(self, waiting: Collection[str]) -> bool:
        """Whether two looks in a row find it hopeless: a container that ended once may do better the next time.

        waiting: the names of the pods that are not ready.
        """
        now_s = asyncio.get_running_loop().time()
        if now_s < self._next_look_s:
            return False
        self._next_look_s = now_s + PERIOD_S
        try:
            findings = await asyncio.to_thread(self._findings)
        except ApiError:
            return False
        matter = [f for f in findings if f["cause"] != NO_MATTER and (not f["pods"] or set(f["pods"]) & set(waiting))]
        hopeless = [f for f in matter if f["cause"] not in MAY_PASS]
        was_hopeless, self._was_hopeless = self._was_hopeless, bool(hopeless)
        told, self.reason = self.reason, _sentence((hopeless or matter)[0]) if matter else ""
        if self.reason and self.reason != told and not hopeless:
            self._on_progress(f"still waiting: {self.reason}")
        return self._was_hopeless and was_hopeless

    def _findings(self) -> list[dict[str, Any]]:
        return findings_document(diagnose(take_snapshot(self._api, self._deployment)))


def _sentence(finding: Mapping[str, Any]) -> str:
    evidence = ": ".join([finding["title"], *finding["evidence"][:1]])
    return f"{evidence.rstrip('.')}. {finding['next_step']}"
