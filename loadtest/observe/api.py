"""HTTP to a Kubernetes API server: the official client's addresses, certificates and credentials; plain JSON back.

The client's typed models cost ten times the parsing, and an observer of hundreds of pods is to stay unnoticed.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from loadtest.observe.target import ClusterTarget
from planner.errors import InputError

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0
WATCH_SLACK_S = 5.0
"""By how much a watch may outlast the time that the server was asked to end it at."""
CONNECTIONS = 16

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class ApiError(Exception):
    """A call failed; str() is one sentence."""


class Unreachable(ApiError):
    """No answer: the server is away, or the network between is."""


class Refused(ApiError):
    """The server answered with an error. status: of HTTP; reason: Kubernetes' word for it (Forbidden, NotFound …)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class CredentialsRefused(Refused):
    """401, also with credentials that were read anew: expired, revoked, or never good."""


class KubernetesApi:
    """Calls to one API server; safe to use from several threads.

    Raises InputError where the kubeconfig, the context or the pod's service account cannot be used.
    """

    def __init__(self, target: ClusterTarget) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._client = _client(target)
        self.namespace = target.namespace or _default_namespace(target)
        self._watched: set[urllib3.BaseHTTPResponse] = set()
        self._closed = False

    @property
    def server(self) -> str:
        """The API server's address, without credentials."""
        return str(self._client.configuration.host)

    def get(self, path: str, **query: object) -> dict[str, Any]:
        """GET of a path such as /api/v1/namespaces/N/pods. Raises ApiError."""
        return self._json(self._request("GET", path, query))

    def text(self, path: str, **query: object) -> str:
        """GET of what is no JSON: a log."""
        with _closing(self._request("GET", path, query)) as response:
            return _read(response).decode("utf-8", "replace")

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A merge patch: the lab's scaling, and nothing else."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._json(self._request("PATCH", path, {}, json.dumps(body).encode(), headers))

    def headers(self, path: str) -> dict[str, str]:
        """The headers of an answer (lower case), for its Date."""
        with _closing(self._request("GET", path, {})) as response:
            _read(response)
            return {name.lower(): value for name, value in response.headers.items()}

    def watch(
        self,
        path: str,
        *,
        timeout_s: float,
        on_open: Callable[[Callable[[], object]], object] = lambda end: None,
        **query: object,
    ) -> Iterator[dict[str, Any]]:
        """The events of a watch as they come, until the server ends it after timeout_s. Raises ApiError.

        on_open is called when the server has accepted the watch, with what ends it from another thread; `close` ends
        all of them.
        """
        query |= {"watch": "true", "timeoutSeconds": int(timeout_s)}
        response = self._request("GET", path, query, read_timeout_s=timeout_s + WATCH_SLACK_S)
        with self._lock:
            self._watched.add(response)
        try:
            on_open(lambda: _shut(response))
            with _closing(response):
                yield from _lines(response)
        finally:
            with self._lock:
                self._watched.discard(response)

    def close(self) -> None:
        """End every watch and connection."""
        with self._lock:
            self._closed = True
            watched = list(self._watched)
        for response in watched:
            _shut(response)
        self._client.rest_client.pool_manager.clear()

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, object],
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> urllib3.BaseHTTPResponse:
        url = f"{path}?{urlencode(query)}" if query else path
        used, response = self._send(method, url, body, headers or {}, read_timeout_s)
        if response.status == 401:
            response.drain_conn()
            self._renew(used)
            _, response = self._send(method, url, body, headers or {}, read_timeout_s)
        if response.status >= 400:
            with _closing(response):
                raise _refusal(response, self._target)
        return response

    def _send(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], read_timeout_s: float
    ) -> tuple[client.ApiClient, urllib3.BaseHTTPResponse]:
        if self._closed:
            raise Unreachable("the connection to the API server was closed")
        used = self._client
        try:
            sent = {"Accept": "application/json"} | headers | _authentication(used)
            response = used.rest_client.pool_manager.request(
                method,
                self.server + url,
                body=body,
                headers=sent,
                preload_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=read_timeout_s),
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(f"{self.server}: {_why(error)}") from None
        return used, response

    def _renew(self, used: client.ApiClient) -> None:
        """Read the credentials anew: a token file, a plugin or the kubeconfig may have newer ones."""
        with self._lock:
            if self._client is used:
                with contextlib.suppress(InputError):
                    self._client = _client(self._target)

    def _json(self, response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        with _closing(response):
            try:
                document = json.loads(_read(response))
            except (ValueError, RecursionError):
                document = None
        if not isinstance(document, dict):
            raise Unreachable(f"{self.server}: answers, but not as a Kubernetes API server does")
        return document


def _shut(response: urllib3.BaseHTTPResponse) -> None:
    """End a read that another thread is in."""
    with contextlib.suppress(Exception):
        response.shutdown()


def _client(target: ClusterTarget) -> client.ApiClient:
    settings = client.Configuration()
    try:
        if target.in_cluster:
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(
                config_file=str(target.kubeconfig) if target.kubeconfig else None,
                context=target.context,
                client_configuration=settings,
                persist_config=False,
            )
    except ConfigException as error:
        raise InputError(_config_sentence(target, error)) from None
    except Exception as error:  # yaml, base64, a plugin: the client lets all of them through
        raise InputError(f"{_where(target)}: not a usable kubeconfig ({_first_line(error)})") from None
    settings.connection_pool_maxsize = CONNECTIONS
    settings.retries = False
    return client.ApiClient(settings)


def _config_sentence(target: ClusterTarget, error: ConfigException) -> str:
    if target.in_cluster:
        return f"--in-cluster: this process runs in no pod with a service account ({_first_line(error)})"
    if target.context is not None:
        with contextlib.suppress(Exception):
            contexts, _ = config.list_kube_config_contexts(str(target.kubeconfig) if target.kubeconfig else None)
            names = sorted(str(c["name"]) for c in contexts)
            if target.context not in names:
                return f"--kube-context {target.context}: not in {_where(target)}, which has {', '.join(names)}"
    return f"{_where(target)}: {_first_line(error)}"


def _where(target: ClusterTarget) -> str:
    return (
        f"--kubeconfig {target.kubeconfig}" if target.kubeconfig else "the kubeconfig ($KUBECONFIG or ~/.kube/config)"
    )


def _default_namespace(target: ClusterTarget) -> str:
    with contextlib.suppress(Exception):
        if target.in_cluster:
            return _POD_NAMESPACE.read_text(encoding="utf-8").strip()
        contexts, active = config.list_kube_config_contexts(str(target.kubeconfig) if target.kubeconfig else None)
        chosen = next((c for c in contexts if c["name"] == target.context), active)
        return str(chosen["context"].get("namespace") or "default")
    return "default"


def _authentication(api_client: client.ApiClient) -> dict[str, str]:
    """Headers; asking for them renews what the client itself knows how to renew."""
    settings = api_client.configuration.auth_settings().values()
    return {str(setting["key"]): str(setting["value"]) for setting in settings if setting["in"] == "header"}


def _refusal(response: urllib3.BaseHTTPResponse, target: ClusterTarget) -> Refused:
    text = _read(response).decode("utf-8", "replace")
    try:
        status = json.loads(text)
        reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    except (ValueError, AttributeError):
        reason, message = "", text[:200]
    if response.status == 401:
        whose = (
            f"of context {target.context}" if target.context else "of the service account" if target.in_cluster else ""
        )
        return CredentialsRefused(
            401,
            reason,
            f"the API server refuses the credentials {whose} (401): expired or revoked; log in anew".replace("  ", " "),
        )
    return Refused(response.status, reason, message or f"HTTP {response.status}")


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    try:
        return response.read()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Unreachable(f"the API server's answer broke off: {_why(error)}") from None


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    rest = b""
    try:
        for chunk in response.stream(2**16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield json.loads(line)
    except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
        raise Unreachable(f"the watch broke off: {_why(error)}") from None


@contextlib.contextmanager
def _closing(response: urllib3.BaseHTTPResponse) -> Iterator[urllib3.BaseHTTPResponse]:
    """Give a connection back that was read to its end, else close it."""
    try:
        yield response
    except BaseException:
        response.close()
        raise
    response.release_conn()


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    text = _first_line(reason if isinstance(reason, Exception) else Exception(str(reason)))
    return text.rpartition(">: ")[2] or type(error).__name__


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
