"""Deployments that are broken, each in its own way, and a registry that refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.cluster.workloads import PORT

RUN = "\n\ndef run(raw_data):\n    return raw_data\n"
QUIET = {"readinessProbe": None, "lifecycle": None}
"""No probe and no hook: for containers that are no scoring server."""
EMPTY_PORT = 5999


def http_probe(port: int, **settings: int) -> dict[str, Any]:
    return {"httpGet": {"path": "/", "port": port}, **settings}


def shell(command: str) -> dict[str, Any]:
    return QUIET | {"command": ["sh", "-c", command]}


def small(name: str, command: str) -> dict[str, Any]:
    """A container beside the server, or before it."""
    return {"name": name, "command": ["sh", "-c", command], "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}}}


def broken_deployments(registry: str) -> Mapping[str, dict[str, Any]]:
    """By the cause that each is to have: what `scoring_deployment` is told."""
    return {
        "init_raised": {
            "score": f'def init():\n    weights = {{}}\n    weights["layer"]\n{RUN}',
        },
        "import_raised": {"score": f"import a_package_that_is_not_there\n\n\ndef init():\n    pass\n{RUN}"},
        "memory_limit": {
            "score": f'kept = []\n\n\ndef init():\n    kept.append(b"x" * 2**29)\n{RUN}',
            "memory": "64Mi",
            "memory_limit": "192Mi",
        },
        "memory_of_the_container": {
            "container": QUIET
            | {"command": ["/opt/scoring/bin/python3", "-c", "kept = b'x' * 2**29"]}
            | {"resources": {"requests": {"cpu": "20m"}, "limits": {"memory": "64Mi"}}},
        },
        "crashed": {"container": shell("echo the licence has run out; exit 7")},
        "image_not_found": {"image": f"{registry}/missing:1"},
        "image_not_authorised": {"image": f"{registry}/private:1"},
        "registry_unreachable": {"image": "127.0.0.1:1/scoring:1"},
        "configuration_missing": {
            "container": {
                "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "not-there", "key": "key"}}}],
            },
        },
        "volume_missing": {"pod": {"volumes": [{"name": "score", "configMap": {"name": "nowhere"}}]}},
        "claim_missing": {
            "pod": {"volumes": [{"name": "score", "persistentVolumeClaim": {"claimName": "nowhere"}}]},
        },
        "volume_fails": {
            "pod": {"volumes": [{"name": "score", "hostPath": {"path": "/nowhere/at/all", "type": "Directory"}}]},
        },
        "other_platform": {  # a program that the kernel cannot read: no `#!`, no ELF
            "score": "x = 1\n",
            "container": QUIET | {"command": ["/score/score.py"]},
            "pod": {
                "volumes": [{"name": "score", "configMap": {"name": "other-platform-score", "defaultMode": 0o755}}],
            },
        },
        "no_such_command": {"container": QUIET | {"command": ["/not/there"]}},
        "init_container_crashes": {"init": [small("storage-initializer", "echo no licence; exit 9")]},
        "init_container_waits": {
            "init": [small("storage-initializer", "echo downloading the model; sleep 600")],
            "spec": {"progressDeadlineSeconds": 3},
        },
        "sidecar_not_ready": {
            "beside": [small("proxy", "sleep 600") | {"readinessProbe": http_probe(EMPTY_PORT, periodSeconds=1)}],
        },
        "not_known": {"container": shell("sleep 600") | {"readinessProbe": {"exec": {"command": ["false"]}}}},
        "readiness_gate": {
            "container": shell("sleep 600"),
            "pod": {"readinessGates": [{"conditionType": "example.org/in-the-load-balancer"}]},
        },
        "scheduling_gated": {"pod": {"schedulingGates": [{"name": "example.org/in-the-queue"}]}},
        "deployment_paused": {"spec": {"paused": True}},
        "does_not_fit": {"cpu": "100", "replicas": 2},
        "no_such_node": {"pod": {"nodeSelector": {"agentpool": "gpu"}}},
        "probe_fails": {"container": {"readinessProbe": http_probe(EMPTY_PORT, periodSeconds=1)}},
        "probe_too_strict": {
            "score": f"import time\n\n\ndef init():\n    time.sleep(120)\n{RUN}",
            "container": {
                "livenessProbe": http_probe(PORT, initialDelaySeconds=15, periodSeconds=1, failureThreshold=3),
                "lifecycle": None,
            },
        },
        "evicted": {
            "container": shell("dd if=/dev/zero of=/filled bs=1M count=40 && sleep 600")
            | {"resources": {"requests": {"cpu": "20m"}, "limits": {"ephemeral-storage": "20Mi"}}},
        },
        "run_raised": {
            "score": "def init():\n    pass\n\n\ndef run(raw_data):\n    return 1 / len(raw_data[:0])\n",
        },
        "healthy": {"replicas": 2},
    }


class _Registry(BaseHTTPRequestHandler):
    """401 for what is called private, 404 for everything else."""

    def do_GET(self) -> None:
        if "private" in self.path:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="stub"')
            body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
        else:
            self.send_response(404)
            body = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def registry_stub() -> Iterator[str]:
    """Its address, `127.0.0.1:PORT`, which containerd speaks plain HTTP to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
