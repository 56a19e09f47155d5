"""A small web service with nothing but the standard library; some paths are slow, some are missing."""

import json
import os
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GREETING = os.environ.get("GREETING", "Hello")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        started = time.perf_counter()
        if self.path.startswith("/api/orders"):
            time.sleep(random.uniform(0.01, 0.09))
            self.answer(200, {"orders": random.randint(1, 40)})
        elif self.path == "/report":
            sum(n * n for n in range(200_000))
            self.answer(200, {"report": "ready"})
        elif self.path == "/":
            self.answer(200, {"message": GREETING})
        else:
            self.answer(404, {"error": f"nothing at {self.path}"})
        took = (time.perf_counter() - started) * 1000
        print(f"GET {self.path} {self.status} {took:.0f} ms", flush=True)

    def answer(self, status, body):
        self.status = status
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8080"))
    print(f"listening on port {port}", flush=True)
    ThreadingHTTPServer(("0.0.0.0", port), Handler).serve_forever()
