"""Sets a Deployment's replica count: one call at a time, always for the newest count, and at the end the old one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from loadtest.lab.event_log import EventLog
from loadtest.observe.api import ApiError, KubernetesApi, Refused
from loadtest.observe.scaling import scale
from planner.errors import NoVerdictError

RETRY_S = 0.5
REFUSALS_BEFORE_THE_END = 8
"""An API server that has just started refuses everything for a second or two, until it has read its roles."""
RESTORE_LIMIT_S = 5.0


class Scaler:
    """`wanted` is the count asked for last. on_error ends the lab, as when the right to scale was taken away."""

    def __init__(
        self,
        api: KubernetesApi,
        name: str,
        found: int,
        log: EventLog,
        on_error: Callable[[BaseException], None],
        on_progress: Callable[[str], None],
    ) -> None:
        self.wanted = found
        self._api, self._name, self._found = api, name, found
        self._log, self._on_error, self._on_progress = log, on_error, on_progress
        self._changed = asyncio.Event()
        self._has_scaled = False
        self._task: asyncio.Task[None] | None = None
        self._calling: asyncio.Future[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep_scaled())
        self._task.add_done_callback(self._ended)

    def ask_for(self, count: int) -> None:
        self.wanted = count
        self._changed.set()

    async def stop(self) -> None:
        """Returns when no call is under way any more and the Deployment has the count that it was found with."""
        if self._task is not None:
            self._task.remove_done_callback(self._ended)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._calling is not None:  # its thread goes on, and must not have the last word
            await asyncio.gather(self._calling, return_exceptions=True)
        if self._has_scaled:
            await asyncio.to_thread(self._restore)

    async def _keep_scaled(self) -> None:
        refusals = 0
        while True:
            await self._changed.wait()
            self._changed.clear()
            count = self.wanted
            self._has_scaled = True
            self._calling = asyncio.ensure_future(asyncio.to_thread(scale, self._api, self._name, count))
            try:
                await asyncio.shield(self._calling)
            except ApiError as error:
                refusals = refusals + 1 if _is_final(error) else 0
                if refusals >= REFUSALS_BEFORE_THE_END:
                    raise NoVerdictError(f"{self._name}: cannot be scaled ({error})") from None
                self._log.add("scale_failed", replicas=count, error=str(error))
                await asyncio.sleep(RETRY_S)
                self._changed.set()
            else:
                refusals = 0
                self._log.add("scaled", replicas=count)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(error)

    def _restore(self) -> None:
        give_up_s = time.monotonic() + RESTORE_LIMIT_S
        while True:
            try:
                return scale(self._api, self._name, self._found)
            except ApiError as error:
                if time.monotonic() > give_up_s:
                    self._on_progress(
                        f"{self._name}: could not be given its replica count of {self._found} back ({error}): "
                        f"kubectl --namespace {self._api.namespace} scale deployment {self._name} "
                        f"--replicas={self._found}"
                    )
                    return None
            time.sleep(RETRY_S)


def _is_final(error: ApiError) -> bool:
    """Not one that passes: away, overloaded, just starting, a conflict."""
    return isinstance(error, Refused) and error.status < 500 and error.status not in (408, 409, 429)
