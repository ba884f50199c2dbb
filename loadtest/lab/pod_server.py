"""The scoring server in a pod, as a replica of the lab."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from loadtest.lab.http_client import Answer, ConnectionBroken, encode_request, exchange

DEFAULT_PORT = 5001
HEALTHY_WITHIN_S = 3.0


class PodServer:
    """`ended` is set when the pod is gone, and ends what is still under way there: its address answers nothing then."""

    pid: int | None = None

    def __init__(self, namespace: str, pod: Mapping[str, Any]) -> None:
        self.ended = asyncio.Event()
        self.name = str(pod["metadata"]["name"])
        self.host = str((pod.get("status") or {}).get("podIP") or "")
        self.port: int | None = port_of(pod)
        self._namespace = namespace

    async def start(self) -> None:
        """Kubernetes does that."""

    async def score(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """A connection that is refused is no answer either: whether the pod took the request up is not ours to guess,
        so nothing is sent twice."""
        return await self._ask(encode_request("POST", "/score", headers, body))

    async def stop(self) -> None:
        self.ended.set()

    def log(self) -> str:
        return f"kubectl --namespace {self._namespace} logs {self.name}\n"

    async def why_unhealthy(self) -> str:
        """Why GET / is not answered from here; empty if it is."""
        try:
            async with asyncio.timeout(HEALTHY_WITHIN_S):
                await self._ask(encode_request("GET", "/", {}))
        except TimeoutError:
            return f"nothing within {HEALTHY_WITHIN_S:g} s"
        except ConnectionBroken as error:
            return str(error)
        return ""

    async def _ask(self, request: bytes) -> Answer:
        """Raises ConnectionBroken, also when the pod is gone."""
        assert self.port is not None
        asking = asyncio.ensure_future(exchange(self.port, request, self.host))
        ending = asyncio.ensure_future(self.ended.wait())
        try:
            await asyncio.wait({asking, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise ConnectionBroken("the pod is gone")
            return asking.result()
        finally:
            for task in (asking, ending):
                task.cancel()
            await asyncio.gather(asking, ending, return_exceptions=True)


def port_of(pod: Mapping[str, Any]) -> int:
    """The scoring server's own where a container names it or none names any, else the first that is named."""
    ports = list(_ports(pod))
    return DEFAULT_PORT if DEFAULT_PORT in ports or not ports else ports[0]


def _ports(pod: Mapping[str, Any]) -> Iterator[int]:
    for container in (pod.get("spec") or {}).get("containers") or []:
        yield from (int(port["containerPort"]) for port in container.get("ports") or [])
