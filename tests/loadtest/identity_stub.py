"""The managed-identity endpoint of App Service on loopback: it hands out short-lived tokens, or refuses."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


def jwt(number: int, lasts_s: float) -> str:
    """A token in the form of a JSON Web Token, its signature nonsense."""

    def part(document: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part({'exp': int(time.time() + lasts_s), 'jti': number})}.c2lnbmF0dXJl{number}"


class IdentityStub:
    """asked: (time, resource, secret header) of each request. refuses: answer with an error that repeats the secret."""

    def __init__(self, lasts_s: int) -> None:
        self.asked: list[tuple[float, str, str]] = []
        self.tokens: list[str] = []
        self.refuses = False
        self.lasts_s = lasts_s
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                resource = parse_qs(urlsplit(self.path).query)["resource"][0]
                header = self.headers["X-IDENTITY-HEADER"]
                stub.asked.append((time.monotonic(), resource, header))
                if stub.refuses:
                    document: dict[str, Any] = {"statusCode": 400, "message": f"no identity for {header}"}
                else:
                    stub.tokens.append(jwt(len(stub.tokens), stub.lasts_s))
                    document = {"access_token": stub.tokens[-1], "token_type": "Bearer", "resource": resource}
                    document["expires_on"] = str(int(time.time()) + stub.lasts_s)
                body = json.dumps(document).encode()
                self.send_response(400 if stub.refuses else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/msi/token"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
