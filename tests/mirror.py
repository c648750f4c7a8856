"""A web server on 127.0.0.1 that can misbehave in every way a mirror does."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    path: str
    range: str | None
    user_agent: str | None


@dataclass
class Fault:
    """How one path misbehaves, the first `times` times it is asked for."""

    times: int = 1_000
    status: int = 0
    cut_after: int | None = None
    """Bytes sent before the connection closes."""
    ignores_range: bool = False
    silent_seconds: float = 0.0
    redirect: str = ""
    no_length: bool = False


@dataclass
class Mirror:
    """Serves `files` by path; remembers who asked for what."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"mirror": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def ranges(self) -> list[str | None]:
        return [request.range for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    mirror: Mirror

    def do_GET(self) -> None:
        mirror = self.mirror
        asked = self.headers.get("Range")
        mirror.requests.append(Request(self.path, asked, self.headers.get("User-Agent")))
        fault = mirror.faults.get(self.path, Fault())
        if fault.times <= 0:
            fault = Fault()
        fault.times -= 1
        time.sleep(fault.silent_seconds)
        if fault.redirect:
            self._answer(302, {"Location": fault.redirect}, b"")
        elif fault.status or self.path not in mirror.files:
            self._answer(fault.status or 404, {}, b"no such thing")
        else:
            self._send(mirror.files[self.path], asked, fault)

    def _send(self, content: bytes, asked: str | None, fault: Fault) -> None:
        if asked is None or fault.ignores_range:
            self._answer(200, {}, content, fault)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self._answer(416, {}, b"")
            return
        stated = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(206, {"Content-Range": stated}, content[start:], fault)

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None = None
    ) -> None:
        fault = fault or Fault()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not fault.no_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # the client has had enough
            self.wfile.write(body if fault.cut_after is None else body[: fault.cut_after])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: stderr belongs to the tests."""
