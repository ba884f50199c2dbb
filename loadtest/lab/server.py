"""The lab's HTTP side: the scoring URLs, and /lab for those who watch or steer it."""

from __future__ import annotations

import hmac
import ipaddress
import socket
import time
from collections.abc import Callable
from dataclasses import asdict

from aiohttp import web

from loadtest.lab.fleet import Phase
from loadtest.lab.lab import Lab
from planner.errors import InputError
from planner.model import Deployment

MAX_BODY_BYTES = 100 * 2**20
"""The payload limit that Azure documents for AKS web services."""

LISTEN_BACKLOG = 2048
_FORWARDED = ("content-type", "x-ms-client-request-id", "x-request-id", "traceparent")
_PASSED_BACK = ("x-ms-", "x-request-id", "x-surgeproof-")
_LONGEST_BEGIN_AHEAD_S = 3600.0


def loopback_socket(host: str, port: int) -> socket.socket:
    """A bound socket; refuses a host that is not this machine's loopback, and a port in use."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        raise InputError(f"--host {host}: no such host; the lab listens on loopback only, such as 127.0.0.1") from None
    if not all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses):
        raise InputError(f"--host {host}: not a loopback address; the lab listens on loopback only, such as 127.0.0.1")
    family = socket.AF_INET6 if all(":" in address for address in addresses) else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=LISTEN_BACKLOG)
    except OSError as error:
        raise InputError(
            f"--port {port}: {error.strerror or error} on {host}; choose another port, or 0 for any free one"
        ) from None


def application(lab: Lab, key: str, stop: Callable[[], None]) -> web.Application:
    """The routes. Scoring and what changes the lab need the key; watching does not."""
    handlers = _Handlers(lab, key, stop)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.add_routes(
        [
            web.post("/score", handlers.score),
            web.post("/api/v1/service/{service}/score", handlers.score),
            web.get("/lab/state", handlers.state),
            web.get("/lab/log", handlers.log),
            web.get("/lab/replicas/{id}/log", handlers.replica_log),
            web.post("/lab/begin", handlers.begin),
            web.post("/lab/reload", handlers.reload),
            web.post("/lab/stop", handlers.stop),
            web.delete("/lab", handlers.stop),
        ]
    )
    return app


class _Handlers:
    def __init__(self, lab: Lab, key: str, stop: Callable[[], None]) -> None:
        self._lab = lab
        self._authorization = f"Bearer {key}".encode()
        self._stop = stop

    async def score(self, request: web.Request) -> web.Response:
        self._check_key(request)
        if request.match_info.get("service", self._lab.scenario.name) != self._lab.scenario.name:
            raise web.HTTPNotFound(text=f"No route found; this lab serves {self._lab.scenario.name}")
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        answer = await self._lab.score(await request.read(), headers)
        passed = {name: value for name, value in answer.headers.items() if name.startswith(_PASSED_BACK)}
        passed["content-type"] = answer.headers.get("content-type", "application/octet-stream")
        return web.Response(status=answer.status, body=answer.body, headers=passed)

    async def state(self, request: web.Request) -> web.Response:
        return web.json_response(state_document(self._lab))

    async def log(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not after.isdecimal():
            raise web.HTTPBadRequest(text=f"after = {after}, must be the number of an event")
        kinds = request.query.get("kinds", "")
        return web.json_response(self._lab.log.after(int(after), [kind for kind in kinds.split(",") if kind]))

    async def replica_log(self, request: web.Request) -> web.Response:
        replica = next((r for r in self._lab.fleet.replicas.values() if str(r.id) == request.match_info["id"]), None)
        if replica is None:
            raise web.HTTPNotFound(text=f"No replica {request.match_info['id']}; /lab/state lists those that exist")
        failed = f"\nLast failed start:\n{replica.crash_loop.log_tail}\n" if replica.crash_loop else ""
        return web.Response(text=replica.server.log() + failed)

    async def begin(self, request: web.Request) -> web.Response:
        self._check_key(request)
        try:
            zero_s = float((await request.json())["monotonic_s"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise web.HTTPBadRequest(text='the body must be {"monotonic_s": SECONDS}') from None
        if not 0 <= zero_s - time.monotonic() <= _LONGEST_BEGIN_AHEAD_S:
            text = (
                f"monotonic_s = {zero_s}, must be within the next {_LONGEST_BEGIN_AHEAD_S:g} s of this machine's clock"
            )
            raise web.HTTPBadRequest(text=text)
        self._lab.begin(zero_s)
        return web.json_response(state_document(self._lab))

    async def reload(self, request: web.Request) -> web.Response:
        self._check_key(request)
        try:
            self._lab.fleet.reload()
        except InputError as error:
            raise web.HTTPConflict(text=str(error)) from None
        return web.json_response({"reloading": True}, status=202)

    async def stop(self, request: web.Request) -> web.Response:
        self._check_key(request)
        self._stop()
        return web.json_response({"stopping": True}, status=202)

    def _check_key(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._authorization):
            raise web.HTTPUnauthorized(text="Authentication failed: the header must be `Authorization: Bearer KEY`")


def state_document(lab: Lab) -> dict[str, object]:
    """What /lab/state shows. Instants are seconds on time.monotonic(), which all processes of a machine share."""
    now = time.monotonic()
    overheads_s = lab.overheads_s()
    return {
        "service": lab.scenario.name,
        "api": lab.scenario.deployment.api.value,
        "time_s": now - lab.started_s,
        "monotonic_s": now,
        "refresh_period_s": lab.ticks.period_s,
        "next_tick_monotonic_s": lab.ticks.next_s,
        **lab.counts(),
        "current": lab.fleet.current,
        "slow_starts": lab.fleet.slow_starts,
        "answers": {str(status): count for status, count in sorted(lab.answers.items())},
        "overhead_p50_s": overheads_s[len(overheads_s) // 2] if overheads_s else None,
        "overhead_p99_s": overheads_s[len(overheads_s) * 99 // 100] if overheads_s else None,
        "settings": azure_settings(lab.scenario.deployment),
        "replicas": [
            {
                "id": replica.id,
                "pod": replica.pod,
                "phase": replica.phase.value,
                "requests": replica.requests,
                "port": replica.server.port,
                "pid": replica.server.pid,
                "drawn_cold_start_s": replica.cold_start_s,
                "real_start_s": replica.real_start_s,
            }
            for replica in lab.fleet.replicas.values()
            if replica.phase is not Phase.GONE
        ],
        "crash_loops": [asdict(loop) for loop in lab.fleet.crash_loops],
    }


def azure_settings(deployment: Deployment) -> dict[str, object]:
    """The settings under Azure's names and in Azure's units."""
    return {
        "autoscaler": deployment.autoscaler.value,
        "autoscale_min_replicas": deployment.min_replicas,
        "autoscale_max_replicas": deployment.max_replicas,
        "autoscale_target_utilization": deployment.target_utilization_percent,
        "autoscale_refresh_seconds": deployment.refresh_period_s,
        "replica_max_concurrent_requests": deployment.max_concurrent_requests,
        "max_request_wait_time": 1000 * deployment.max_request_wait_s,
        "scoring_timeout_ms": 1000 * deployment.scoring_timeout_s,
        "worker_count": deployment.worker_count,
    }
