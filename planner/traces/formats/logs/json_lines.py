"""Logs with a JSON object on each line: Envoy and Istio, Caddy, Traefik, and what nginx is set to write.

* Envoy, Istio: `start_time` is when the request came, `duration` and `upstream_service_time` are milliseconds
  (envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage,
  istio.io/latest/docs/tasks/observability/logs/access-log).
* Caddy: `ts` is when the line was written, after the answer; `duration` is in seconds
  (caddyserver.com/docs/logging, caddyserver.com/docs/caddyfile/directives/log).
* Traefik: `StartUTC` is when the request came, `Duration` and `OriginDuration` are nanoseconds
  (doc.traefik.io/traefik/observability/access-logs).
* nginx and ingress-nginx: names are the user's own; those in common use are known. The time is that of the log write,
  `request_time` and `upstream_response_time` are seconds (nginx.org/en/docs/http/ngx_http_log_module.html).
  A `duration` is read as seconds if it has decimals; a whole number does not say its unit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from planner.traces.formats.format import Format
from planner.traces.formats.logs.lines import NOT_SAID, Entry, LogForm, Parse, log_format
from planner.traces.formats.logs.stamps import (
    NOTHING,
    Moment,
    clf_moment,
    epoch_moment,
    iso_moment,
    last_of_list,
    path_of,
    request_line,
    seconds_with_unit,
)
from planner.traces.records import Stamps

_TIMES = ("time_local", "time_iso8601", "time", "timestamp", "@timestamp", "msec", "time_msec", "time_epoch", "ts")
_METHODS = ("request_method", "method", "requestMethod", "http_method", "verb")
_PATHS = ("uri", "request_uri", "path", "requestUri", "url", "request_path")
_STATUSES = ("status", "response", "response_code", "status_code", "statusCode")
_AGENTS = ("http_user_agent", "user_agent", "agent", "userAgent")


def _object(line: bytes) -> Mapping[str, Any] | None:
    start = line.find(b"{", 0, 200)
    if start < 0:
        return None
    try:
        found = json.loads(line[start:])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return repr(value).encode() if isinstance(value, int | float) and not isinstance(value, bool) else b""


def _first(held: Mapping[str, Any], names: tuple[str, ...]) -> bytes:
    return next((text for name in names if (text := _text(held.get(name)))), b"")


def _moment(held: Mapping[str, Any], names: tuple[str, ...]) -> Moment | None:
    text = _first(held, names)
    if moment := iso_moment(text) or clf_moment(text.strip(b"[]")):
        return moment
    try:
        return epoch_moment(float(text))
    except ValueError:
        return None


class _Times:
    """The times of one line, and the text of the last of them that is none."""

    def __init__(self, held: Mapping[str, Any]) -> None:
        self._held = held
        self.unread = b""

    def of(self, name: str, unit: float = 1.0, *, needs_decimals: bool = False) -> float:
        """In seconds, of a number of `unit` seconds or of a text with its own unit; of a list, the last."""
        text = _text(self._held.get(name))
        last = last_of_list(text)
        is_read = not (needs_decimals and last.isdigit())
        taken = seconds_with_unit(last, unit) if is_read else NOT_SAID
        if math.isnan(taken) and last not in NOTHING:
            self.unread = f"{name}=".encode() + text
        return taken


def _status(text: bytes) -> bytes:
    return text if len(text) == 3 and text.isdigit() else b""


def _of_envoy(line: bytes) -> Entry | None:
    held = _object(line)
    moment = _moment(held, ("start_time",)) if held else None
    if held is None or moment is None:
        return None
    times = _Times(held)
    upstream_s = times.of("upstream_service_time", 1e-3)
    if math.isnan(upstream_s):
        upstream_s = times.of("x_envoy_upstream_service_time", 1e-3)
    path = _first(held, ("x_envoy_original_path", "path"))
    status, duration_s = _status(_first(held, ("response_code", "status"))), times.of("duration", 1e-3)
    method, agent = _first(held, ("method",)), _first(held, _AGENTS)
    return Entry(*moment, method, path_of(path), status, agent, duration_s, upstream_s, times.unread)


def _of_traefik(line: bytes) -> Entry | None:
    held = _object(line)
    moment = _moment(held, ("StartUTC", "StartLocal")) if held else None
    if held is None or moment is None:
        return None
    times = _Times(held)
    return Entry(
        *moment,
        _text(held.get("RequestMethod")),
        path_of(_text(held.get("RequestPath"))),
        _status(_text(held.get("DownstreamStatus"))),
        _text(held.get("request_User-Agent")),
        times.of("Duration", 1e-9),
        times.of("OriginDuration", 1e-9) or NOT_SAID,
        times.unread,
    )


def _of_caddy(line: bytes) -> Entry | None:
    held = _object(line)
    request = held.get("request") if held else None
    if held is None or not isinstance(request, dict) or "uri" not in request:
        return None
    moment = _moment(held, ("ts",))
    if moment is None:
        return None
    headers = request.get("headers")
    agents = headers.get("User-Agent") if isinstance(headers, dict) else None
    times = _Times(held)
    return Entry(
        *moment,
        _text(request.get("method")),
        path_of(_text(request.get("uri"))),
        _status(_text(held.get("status"))),
        _text(agents[0]) if isinstance(agents, list) and agents else b"",
        times.of("duration"),
        unread=times.unread,
    )


def _of_nginx(line: bytes) -> Entry | None:
    held = _object(line)
    moment = _moment(held, _TIMES) if held else None
    if held is None or moment is None:
        return None
    method, path = request_line(_text(held.get("request")))
    method, path = method or _first(held, _METHODS), path or path_of(_first(held, _PATHS))
    if not (method or path):
        return None
    times = _Times(held)
    upstream_s, duration_s = times.of("upstream_response_time"), times.of("request_time")
    if math.isnan(duration_s):
        duration_s = times.of("duration", needs_decimals=True)
    if math.isnan(duration_s):
        duration_s = upstream_s
    status, agent = _status(_first(held, _STATUSES)), _first(held, _AGENTS)
    return Entry(*moment, method, path, status, agent, duration_s, upstream_s, times.unread)


_MESSAGES = ("msg", "message")
_LEVELS = ("level", "severity", "lvl")
_OF_REQUESTS = ("status", "response_code", "DownstreamStatus", "RequestMethod", "request_method", "request_uri")


def _is_servers_own(line: bytes) -> bool:
    """A message with its level, and nothing of a request: `{"level":"info","ts":1795341600.1,"msg":"server running"}`.

    Caddy's messages of a request that failed hold that request, under another logger than `http.log.access`.
    """
    held = _object(line)
    if held is None or not any(name in held for name in _MESSAGES) or not any(name in held for name in _LEVELS):
        return False
    return not any(name in held for name in _OF_REQUESTS)


def _format(
    name: str,
    title: str,
    sample: str,
    parse: Parse,
    stamps: Stamps,
    taken: str,
    service_time_of: str,
) -> Format:
    form = LogForm(
        name=title,
        parse=parse,
        stamps=stamps,
        is_servers_own=_is_servers_own,
        service_time_of=service_time_of,
        ends_itself=True,
    )
    taken = f"time, method, path, status, user agent, {taken}"
    return log_format(form, name=name, title=title, sample=sample, taken=taken, left="other keys")


ENVOY = _format(
    "envoy_json",
    "Envoy and Istio, JSON lines",
    '{"start_time": "2026-11-22T10:00:00.054352Z", "method": "POST", "path": "/score", "response_code": 200, '
    '"duration": 31, "upstream_service_time": "30"}',
    _of_envoy,
    Stamps.START,
    "duration; upstream_service_time as service time",
    "upstream_service_time (or the duration, where no line has it)",
)
CADDY = _format(
    "caddy_json",
    "Caddy, JSON lines",
    '{"ts": 1795341600.123, "logger": "http.log.access", "request": {"method": "POST", "uri": "/score", '
    '"headers": {"User-Agent": ["curl/8.0"]}}, "duration": 0.031, "status": 200}',
    _of_caddy,
    Stamps.END,
    "duration",
    "the duration of the whole request",
)
TRAEFIK = _format(
    "traefik_json",
    "Traefik, JSON lines",
    '{"StartUTC": "2026-11-22T10:00:00.054352Z", "RequestMethod": "POST", "RequestPath": "/score", '
    '"DownstreamStatus": 200, "Duration": 31000000, "OriginDuration": 30000000}',
    _of_traefik,
    Stamps.START,
    "Duration; OriginDuration as service time",
    "OriginDuration",
)
NGINX = _format(
    "nginx_json",
    "nginx and ingress-nginx, JSON lines",
    '{"time": "22/Nov/2026:10:00:00 +0000", "request": "POST /score HTTP/1.1", "response": 200, "agent": "curl/8.0", '
    '"request_time": 0.031, "upstream_response_time": "0.030"}',
    _of_nginx,
    Stamps.END,
    "request_time; upstream_response_time as service time",
    "upstream_response_time (or request_time, where no line has it)",
)
