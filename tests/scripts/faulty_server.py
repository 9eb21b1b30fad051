"""A web server with the faults of real ones, for the test of scripts/get-data.

usage: faulty_server.py FOLDER     prints its port; GET /MODE/NAME answers with FOLDER/NAME:

  good      whole, or from the byte asked for
  breaking  the same, but the connection breaks after 40,000 bytes
  deaf      always the whole file, whatever was asked for; breaks likewise the first time
  page      a web page
  busy      503, always
"""
import http.server
import os
import re
import sys

MOST = 40_000  # bytes before the connection breaks


class Handler(http.server.BaseHTTPRequestHandler):
    seen = set()  # deaf files that have broken once

    def do_GET(self):
        mode, name = self.path.strip("/").split("/")
        path = os.path.join(sys.argv[1], name)
        if mode == "page":
            return self.answer(200, b"<!doctype html><html>Log in first</html>")
        if mode == "busy":
            return self.send_error(503)
        if not os.path.exists(path):
            return self.send_error(404)
        with open(path, "rb") as file:
            data = file.read()
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        breaks = mode == "breaking"
        if mode == "deaf":
            asked, breaks = None, name not in self.seen
            self.seen.add(name)
        if not asked:
            return self.answer(200, data, breaks)
        start = int(asked[1])
        if start >= len(data):
            return self.send_error(416)
        self.answer(206, data[start:], breaks, f"bytes {start}-{len(data) - 1}/{len(data)}")

    def answer(self, code, data, breaks=False, content_range=None):
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(data[:MOST] if breaks else data)
        self.close_connection = True

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
