# A web server of packages that tests misuse: with Range, without, one that cuts, one that lies
# SPDX-License-Identifier: MIT
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Files:
    """Serves `image` at /image over HTTP on the loopback interface. Attributes say how it behaves, `asked` are the
    Range headers that came, `sent` the bytes of bodies that went out."""

    def __init__(self, image, context=None):
        self.image = image
        self.ranges = True
        self.etag = '"v1"'
        self.cut = None  # bytes of a body after which the connection ends
        self.length = None  # what Content-Length says
        self.status = None
        self.first = None  # what Content-Range says that it begins with
        self.asked = []
        self.paths = []
        self.sent = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                owner.serve(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.scheme = "https" if context else "http"
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def uri(self, path="/image", host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.server.server_address[1]}{path}"

    def serve(self, request):
        self.paths.append(request.path)
        asked = request.headers.get("Range")
        self.asked.append(asked)
        if request.path.startswith("/moved"):
            request.send_response(302)
            target = request.path.partition("?")[2] or "/image"
            request.send_header("Location", target)
            request.end_headers()
            return
        if self.status:
            request.send_error(self.status)
            return
        start = 0
        if asked and self.ranges and request.headers.get("If-Range") in (None, self.etag):
            start = int(asked.removeprefix("bytes=").split("-")[0])
        request.send_response(206 if start else 200)
        body = self.image[start:]
        if start:
            first = start if self.first is None else self.first
            end = len(self.image) - 1
            request.send_header("Content-Range", f"bytes {first}-{end}/{len(self.image)}")
        if self.length != "none":
            request.send_header("Content-Length", str(self.length or len(body)))
        if self.etag:
            request.send_header("ETag", self.etag)
        request.end_headers()
        if self.cut is not None:
            body = body[: self.cut]
        self.sent += len(body)
        request.wfile.write(body)
        request.wfile.flush()
        request.close_connection = True
