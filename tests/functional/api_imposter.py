"""A server that answers like ours and breaks on request: what the command line makes of answers that are hard to
provoke from the real one."""

import http.server
import json
import threading
import urllib.parse

MODEL = {"id": 1, "model_name": "smol", "hf_path": "org/smol", "trust_remote_code": False, "cache_location": "primary",
         "cache_path": "/srv/hf", "compatibility_status": "compatible", "total_loads": 1, "total_inferences": 0,
         "model_size_mb": 12.5, "created_at": "2025-11-16T17:43:12.445678", "last_loaded": None}


class ApiImposter:
    """`answers[(method, path)]` = (status, value or text); `chat` = pieces of each answer, `cut` = break off before the
    end, `hold` = silence after the pieces until the client leaves, `chat_error` = an error event after the pieces. Every request is kept in `seen` as (method, path, body)."""

    def __init__(self):
        self.answers = {
            ("GET", "/health"): (200, {"status": "healthy", "gpu_available": False}),
            ("GET", "/api/models"): (200, [MODEL]),
            ("GET", "/api/status"): (200, {"loaded_model": "smol", "performance_logging": True}),
            ("GET", "/api/engines"): (200, {"engines": [{"model_name": "smol", "current": True}]}),
            ("GET", "/api/jobs"): (200, {"jobs": []}),
        }
        self.chat = ["Hel", "lo"]
        self.cut = False
        self.hold = False
        self.chat_error = None
        self.seen = []
        imposter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = urllib.parse.urlsplit(self.path).path
                imposter.seen.append((self.command, self.path, json.loads(body) if body else None))
                if path == "/v1/chat/completions" and (self.command, path) not in imposter.answers:
                    return self.stream_chat()
                status, value = imposter.answers.get((self.command, path), (404, {"detail": "Not Found"}))
                text = value if isinstance(value, str) else json.dumps(value)
                self.send(status, "application/json", text.encode())

            def send(self, status, kind, content):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def stream_chat(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in imposter.chat:
                    self.event(json.dumps({"choices": [{"delta": {"content": piece}}]}))
                if imposter.hold:
                    self.rfile.read(1)  # ends when the client leaves
                    self.close_connection = True
                    return
                if imposter.chat_error:
                    self.event(json.dumps({"error": {"message": imposter.chat_error}}))
                elif imposter.cut:
                    self.close_connection = True
                    return
                else:
                    self.event("[DONE]")
                self.wfile.write(b"0\r\n\r\n")

            def event(self, data):
                content = f"data: {data}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

            do_GET = do_POST = do_DELETE = handle_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def bodies(self, path):
        return [body for _, seen, body in self.seen if seen.split("?")[0] == path]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
