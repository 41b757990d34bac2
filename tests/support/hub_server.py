"""A small Hub on 127.0.0.1: what the client asks of the real one to download and to upload models.

Repositories live in memory. Files of the Git LFS kind are redirected to a second port, as the real
Hub redirects to its storage, whose name is another one and which must not see the token. Faults are
set by a test; every request is kept in `requests`.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, Thread
from typing import Any, Self
from urllib.parse import unquote, urlsplit

TOKEN = "hf_right"  # noqa: S105 (of this server alone)
LFS_SUFFIXES = (".safetensors", ".bin")
HANG_S = 4.0
"""How long a request that hangs is kept waiting: longer than the client's timeout in the tests."""


@dataclass
class Repository:
    """Commits, oldest first, each with all its files; the last is `main`."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    hangs: bool = False
    status: int | None = None
    """Answered to everything, where set."""
    cut_at: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers with an LFS file breaks off."""
    status_after_cut: int | None = None
    together: Barrier | None = None
    """What those who ask about an LFS file wait at for each other, where set."""
    damaged: bool = False
    """Whether LFS files come with one byte changed."""

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit on top of `main`; returns its name."""
        content = {**next(reversed(self.commits.values()), {}), **files}
        listed = repr(sorted((name, sha256(data)) for name, data in content.items()))
        name = hashlib.sha1(f"{len(self.commits)}{listed}".encode()).hexdigest()  # noqa: S324
        self.commits[name] = content
        return name

    def resolve(self, revision: str) -> str | None:
        if revision == "main":
            return next(reversed(self.commits), None)
        return revision if revision in self.commits else None


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    is_storage: bool


class HubServer:
    """The Hub and its storage, each on a free port; a context manager."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self._servers = [_Server(self, is_storage) for is_storage in (False, True)]
        self.endpoint, self.storage = (f"http://127.0.0.1:{s.server_port}" for s in self._servers)

    def __enter__(self) -> Self:
        for server in self._servers:
            # Seldom polled by default, and each server's end waits for it.
            Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add(self, hub_id: str, files: dict[str, bytes], **traits: Any) -> str:
        """Add a repository with one commit; returns the commit's name."""
        repository = self.repositories[hub_id] = Repository(**traits)
        return repository.commit(files)

    def asked(self, method: str, words: str = "") -> list[Request]:
        """Requests of a kind whose path has these words."""
        return [r for r in self.requests if r.method == method and words in r.path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: HubServer, is_storage: bool) -> None:
        self.hub, self.is_storage = hub, is_storage
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        # Without http.server's look-up of the host's name.
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is none of the tests' business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def _answer(self) -> None:
        hub, path = self.server.hub, unquote(urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.requests.append(Request(self.command, path, headers, self.server.is_storage))
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        for method, pattern, respond in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                respond(self, **match.groupdict())
                return
        self._send(404, message="no such route")

    do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815 (http.server's names)

    def _send(
        self,
        status: int,
        body: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        code: str | None = None,
        message: str | None = None,
    ) -> None:
        self.send_response(status)
        stated = {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})}
        for name, value in ({"Content-Length": str(len(body))} | stated).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_json(self, values: object) -> None:
        self._send(200, json.dumps(values).encode(), headers={"Content-Type": "application/json"})

    def _open(self, hub_id: str, revision: str = "main") -> tuple[Repository, str] | None:
        """The repository and the commit, where this caller may see them; else the answer is out."""
        repository = self.server.hub.repositories.get(hub_id)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository is not None and repository.hangs:
            time.sleep(HANG_S)
        if repository is None or (repository.private and token != TOKEN):
            # As the real Hub: what may not be seen is not there, for one who has not logged in.
            self._send(404 if token == TOKEN else 401, code="RepoNotFound")
        elif repository.status is not None:
            self._send(repository.status)
        elif repository.gated and token != TOKEN:
            self._send(403, code="GatedRepo", message="Access to this model is restricted.")
        elif (commit := repository.resolve(revision)) is None:
            self._send(404, code="RevisionNotFound", message="Invalid rev id")
        else:
            return repository, commit
        return None

    def info(self, hub_id: str, revision: str = "main") -> None:
        if found := self._open(hub_id, revision):
            repository, commit = found
            files = [{"rfilename": name} for name in repository.commits[commit]]
            self._send_json({"id": hub_id, "modelId": hub_id, "sha": commit, "siblings": files})

    def resolve(self, hub_id: str, revision: str, name: str) -> None:
        found = self._open(hub_id, revision)
        if not found:
            return
        repository, commit = found
        headers = {"X-Repo-Commit": commit}
        data = repository.commits[commit].get(name)
        if data is None:
            self._send(404, headers=headers, code="EntryNotFound", message="Entry not found")
        elif name.endswith(LFS_SUFFIXES):
            if repository.together is not None:
                repository.together.wait(timeout=60)
            etag = f'"{sha256(data)}"'
            headers |= {"X-Linked-Size": str(len(data)), "X-Linked-ETag": etag}
            location = f"{self.server.hub.storage}/{hub_id}/{commit}/{name}"
            self._send(302, headers=headers | {"Location": location})
        else:
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324
            self._send(200, data, headers=headers | {"ETag": f'"{blob}"'})

    def stored(self, hub_id: str, revision: str, name: str) -> None:
        repository = self.server.hub.repositories[hub_id]
        data = repository.commits[revision][name]
        if repository.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        end = len(data)
        if repository.cut_at:
            end, repository.status = repository.cut_at.pop(0), repository.status_after_cut
        self.wfile.write(data[start:end])
        self.close_connection = True

    def create(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, message="Invalid credentials in Authorization header")
            return
        values = json.loads(self.body)
        hub_id = f"{values['organization']}/{values['name']}"
        is_new = hub_id not in self.server.hub.repositories
        repository = self.server.hub.repositories.setdefault(hub_id, Repository())
        if is_new:
            repository.private = values.get("visibility") == "private" or bool(
                values.get("private")
            )
            repository.commit({})
        body = json.dumps({"url": f"{self.server.hub.endpoint}/{hub_id}"}).encode()
        self._send(200 if is_new else 409, body)

    def preupload(self, hub_id: str, revision: str) -> None:
        if self._open(hub_id, revision):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(self.body)["files"]
            ]
            self._send_json({"files": files})

    def lfs_batch(self, hub_id: str) -> None:
        if self._open(hub_id):
            wanted = json.loads(self.body)["objects"]
            storage = self.server.hub.storage
            objects = [
                {**x, "actions": {"upload": {"href": f"{storage}/put/{x['oid']}"}}} for x in wanted
            ]
            self._send_json({"transfer": "basic", "objects": objects})

    def put(self, oid: str) -> None:
        self.server.hub.objects[oid] = self.body
        self._send(200)

    def commit(self, hub_id: str, revision: str) -> None:
        found = self._open(hub_id, revision)
        if not found:
            return
        files = {}
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.server.hub.objects[value["oid"]]
        name = found[0].commit(files)
        url = f"{self.server.hub.endpoint}/{hub_id}/commit/{name}"
        self._send_json({"success": True, "commitOid": name, "commitUrl": url})

    def validate_yaml(self) -> None:
        self._send_json({"errors": [], "warnings": []})


_ID = "(?P<hub_id>[^/]+/[^/]+)"
_REVISION = "(?P<revision>[^/]+)"
_NAME = "(?P<name>.+)"
_ROUTES: list[tuple[tuple[str, ...], str, Callable[..., None]]] = [
    (("GET", "HEAD"), f"/{_ID}/resolve/{_REVISION}/{_NAME}", _Handler.resolve),
    (("GET",), f"/{_ID}/(?P<revision>[0-9a-f]{{40}})/{_NAME}", _Handler.stored),
    (("GET",), f"/api/models/{_ID}", _Handler.info),
    (("GET",), f"/api/models/{_ID}/revision/{_REVISION}", _Handler.info),
    (("POST",), "/api/repos/create", _Handler.create),
    (("POST",), "/api/validate-yaml", _Handler.validate_yaml),
    (("POST",), f"/api/models/{_ID}/preupload/{_REVISION}", _Handler.preupload),
    (("POST",), rf"/{_ID}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    (("PUT",), "/put/(?P<oid>[0-9a-f]{64})", _Handler.put),
    (("POST",), f"/api/models/{_ID}/commit/{_REVISION}", _Handler.commit),
]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
