"""A web server on this machine that downloads are tested with."""

import contextlib
import http.server
import threading
import time


class Server(http.server.ThreadingHTTPServer):
    """Serves one file, whatever is asked for."""

    content = b""
    status = 200
    cut = 0  # bytes that are promised but never sent
    headers = ()  # further ones
    drip = 0.0  # seconds before each byte
    requests = 0

    @property
    def url(self):
        """Address of its root."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.server.content
        self.server.requests += 1
        self.send_response(self.server.status)
        for name, value in (("Content-Length", len(content)), *self.server.headers):
            self.send_header(name, str(value))
        self.end_headers()
        content = content[: len(content) - self.server.cut]
        while self.server.drip and content:
            time.sleep(self.server.drip)
            self.wfile.write(content[:1])
            content = content[1:]
        self.wfile.write(content)

    def log_message(self, *args):
        """Keep the test output clean."""


@contextlib.contextmanager
def serving(content, monkeypatch):
    """Serve a content until the test is over."""
    with Server(("127.0.0.1", 0), _Handler) as server:
        server.content = content
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.drip = 0.0
        server.shutdown()
        thread.join()
