"""A small Hub that misbehaves on request. It speaks what huggingface_hub 2.4 and our downloader need (hub-protocol §1,
§4) and keeps a log of every request, so that tests can count them."""

import dataclasses
import functools
import hashlib
import http.server
import json
import random
import socket
import threading
import urllib.parse


@functools.lru_cache(256)
def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@functools.lru_cache(256)
def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def random_bytes(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


@dataclasses.dataclass
class Seen:
    method: str
    path: str
    range: str | None
    authorization: str | None
    sent: int = 0
    status: int = 0


@dataclasses.dataclass
class Fault:
    """What goes wrong with the next `times` content requests of a file; None = for ever.

    drop_after: bytes of body, then the connection breaks. short: bytes missing at the end of a body that ends properly
    (announced length is the short one). flip: position of a byte sent wrong. status + headers: an error instead.
    delay: seconds before each 64 KiB. no_ranges: Range is ignored. grow: bytes announced and sent too many.
    """

    times: int | None = 1
    drop_after: int | None = None
    short: int = 0
    grow: int = 0
    flip: int | None = None
    status: int | None = None
    headers: dict = dataclasses.field(default_factory=dict)
    delay: float = 0
    no_ranges: bool = False
    close_without_answer: bool = False


class Repo:
    def __init__(self, repo_id: str, files: dict, commit: str | None = None):
        self.id = repo_id
        self.files = files
        self.commit = commit or hashlib.sha1(repo_id.encode()).hexdigest()
        self.tree_override = None   # JSON text sent instead of the listing
        self.info_override = None
        self.page_size = None
        self.api_faults = []        # statuses (and headers) of the next API answers
        self.history = {}           # commits that main has left, with their files

    def move(self, files: dict, commit: str):
        """main gets a new commit; the old one can still be asked for."""
        self.history[self.commit] = self.files
        self.files, self.commit = files, commit

    def at(self, revision: str):
        """(commit, files)"""
        commit, files = self.commit, self.files
        return (revision, self.history[revision]) if revision in self.history else (commit, files)

    def is_lfs(self, path: str, files: dict | None = None) -> bool:
        return path.endswith((".safetensors", ".gguf", ".bin")) or len((files or self.files)[path]) > 1 << 20

    def blob_name(self, path: str, files: dict | None = None) -> str:
        content = (files or self.files)[path]
        return sha256(content) if self.is_lfs(path, files) else git_oid(content)

    def entries(self, files: dict | None = None):
        files = files or self.files
        for path, content in sorted(files.items()):
            entry = {"type": "file", "path": path, "size": len(content), "oid": git_oid(content)}
            if self.is_lfs(path, files):
                entry["oid"] = git_oid(sha256(content).encode())
                entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
            yield entry


class FaultHub:
    """Runs on two ports: the Hub and a content network of another origin."""

    def __init__(self):
        self.repos = {}
        self.faults = {}
        self.log = []
        self.redirect = None          # None, "same" (relative), "cross" (signed address of the other origin)
        self.signature_uses = None    # how often one signed address works
        self.required_token = None
        self.lock = threading.Lock()
        self._signatures = {}
        self._servers = [self._serve("hub"), self._serve("network")]
        self.endpoint, self.network = (f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers)

    def add(self, repo_id: str, files: dict, **more) -> Repo:
        repo = self.repos[repo_id] = Repo(repo_id, files, **more)
        return repo

    def fault(self, path: str, **what) -> Fault:
        fault = Fault(**what)
        self.faults.setdefault(path, []).append(fault)
        return fault

    def take_fault(self, path: str) -> Fault:
        with self.lock:
            queue = self.faults.get(path, [])
            if not queue:
                return Fault()
            fault = queue[0]
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    queue.pop(0)
            return fault

    def gets(self, path: str | None = None) -> list:
        """Content requests (of one file) that were answered with content."""
        with self.lock:
            return [seen for seen in self.log if seen.method == "GET" and seen.status in (200, 206)
                    and "/api/" not in seen.path and (path is None or seen.path.split("?")[0].endswith("/" + path))]

    def sent_bytes(self) -> int:
        return sum(seen.sent for seen in self.gets())

    def clear_log(self):
        with self.lock:
            self.log.clear()

    def sign(self, target: str) -> str:
        with self.lock:
            key = hashlib.sha256(f"{target}{len(self._signatures)}".encode()).hexdigest()[:16]
            self._signatures[key] = 0
        return f"{self.network}{target}?sig={key}"

    def use_signature(self, key: str) -> bool:
        with self.lock:
            if key not in self._signatures:
                return False
            self._signatures[key] += 1
            return self.signature_uses is None or self._signatures[key] <= self.signature_uses

    def close(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self, role: str):
        handler = type("Handler", (_Handler,), {"hub": self, "role": role})
        server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients are killed on purpose


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: FaultHub
    role: str

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        self.seen = Seen(self.command, self.path, self.headers.get("Range"), self.headers.get("Authorization"))
        with self.hub.lock:
            self.hub.log.append(self.seen)
        url = urllib.parse.urlsplit(self.path)
        if self.role == "network":
            key = urllib.parse.parse_qs(url.query).get("sig", [""])[0]
            if not self.hub.use_signature(key):
                return self._plain(403, b"<Error>expired</Error>", {})
        elif self.hub.required_token and self.seen.authorization != f"Bearer {self.hub.required_token}":
            return self._error(401, "GatedRepo", "Access to model is restricted")
        parts = url.path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self._api(parts[2:], url)
        if "resolve" in parts:
            at = parts.index("resolve")
            return self._resolve("/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2:]), url.path)
        self._error(404, "", "not here")

    def _api(self, parts, url):
        kinds = [i for i, part in enumerate(parts) if part in ("revision", "tree")]
        at = kinds[0] if kinds else len(parts)
        repo = self.hub.repos.get("/".join(parts[:at]))
        if repo is None:
            return self._error(404, "RepoNotFound", "Repository not found")
        with self.hub.lock:
            fault = repo.api_faults.pop(0) if repo.api_faults else None
        if fault:
            return self._plain(fault[0], b"{}", fault[1])
        revision = urllib.parse.unquote(parts[at + 1]) if at < len(parts) else "main"
        if revision not in ("main", repo.commit, "v1", "refs/pr/1", *repo.history):
            return self._error(404, "RevisionNotFound", "Invalid rev id")
        commit, files = repo.at(revision)
        if at < len(parts) and parts[at] == "tree":
            return self._tree(repo, files, url)
        info = {"id": repo.id, "sha": commit, "private": False, "gated": False, "tags": [], "downloads": 0,
                "likes": 0, "siblings": [{"rfilename": path} for path in sorted(files)]}
        self._plain(200, (repo.info_override or json.dumps(info)).encode(), {"Content-Type": "application/json"})

    def _tree(self, repo, files, url):
        headers = {"Content-Type": "application/json"}
        if repo.tree_override is not None:
            return self._plain(200, repo.tree_override.encode(), headers)
        entries = list(repo.entries(files))
        if repo.page_size:
            start = int(urllib.parse.parse_qs(url.query).get("cursor", ["0"])[0])
            if start + repo.page_size < len(entries):
                headers["Link"] = (f"<{self.hub.endpoint}{url.path}?recursive=true&expand=false"
                                   f'&cursor={start + repo.page_size}>; rel="next"')
            entries = entries[start:start + repo.page_size]
        self._plain(200, json.dumps(entries).encode(), headers)

    def _resolve(self, repo_id, revision, raw_path, target):
        repo = self.hub.repos.get(repo_id)
        path = urllib.parse.unquote(raw_path)
        if repo is None:
            return self._error(404, "RepoNotFound", "Repository not found")
        commit, files = repo.at(revision)
        if path not in files:
            return self._error(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        headers = {}
        if self.role == "hub":
            etag = repo.blob_name(path, files)
            headers = {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
            if self.hub.redirect and self.command == "GET" and "?direct" not in self.path:
                location = self.hub.sign(target) if self.hub.redirect == "cross" else f"{target}?direct"
                return self._plain(302, b"", {**headers, "Location": location,
                                              "X-Linked-Etag": headers["ETag"],
                                              "X-Linked-Size": str(len(files[path]))})
        self._content(path, files[path], headers)

    def _content(self, path, content, headers):
        fault = self.hub.take_fault(path) if self.command == "GET" else Fault()
        if fault.close_without_answer:
            return self._break()
        if fault.status:
            return self._plain(fault.status, b"", fault.headers)
        start = 0
        if self.seen.range and not fault.no_ranges:
            start = int(self.seen.range.removeprefix("bytes=").split("-")[0])
            if start >= len(content):
                return self._plain(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        body = bytearray(content[start:])
        if fault.short:
            del body[-fault.short:]
        body += b"x" * fault.grow
        if fault.flip is not None and start <= fault.flip < len(content):
            body[fault.flip - start] ^= 1
        ranged = self.seen.range and not fault.no_ranges
        self.seen.status = 206 if ranged else 200
        self.send_response(self.seen.status)
        for name, value in {**headers, **fault.headers}.items():
            self.send_header(name, value)
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self._send_body(memoryview(body), fault)

    def _send_body(self, body, fault):
        limit = len(body) if fault.drop_after is None else min(fault.drop_after, len(body))
        at = 0
        while at < limit:
            if fault.delay:
                threading.Event().wait(fault.delay)
            piece = body[at:min(at + (1 << 16), limit)]
            self.wfile.write(piece)
            at += len(piece)
            self.seen.sent = at
        if fault.drop_after is not None:
            self._break()

    def _break(self):
        """Ends the connection in the middle, after what was sent has left."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _plain(self, status, body, headers):
        self.seen.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _error(self, status, code, message, headers=None):
        self._plain(status, json.dumps({"error": message}).encode(),
                    {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})})
