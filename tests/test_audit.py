"""`scripts/audit` asks about every locked package, and fails where one of them is vulnerable."""

import json
import os
import subprocess
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UNREACHABLE = "http://127.0.0.1:9"
ADVISORY = {
    "id": "PYSEC-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "made up",
    "affected": [
        {
            "package": {"name": "soundfile", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    """Answers as OSV does, with what the server was given."""

    def do_POST(self):
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        names = [query["package"]["name"] for query in queries]
        self.server.asked.update(names)
        brief = {key: ADVISORY[key] for key in ("id", "modified")}
        found = [{"vulns": [brief]} if name in self.server.vulnerable else {} for name in names]
        self._answer({"results": found})

    def do_GET(self):
        self._answer(ADVISORY)

    def log_message(self, *_):
        """Keeps quiet."""

    def _answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def database():
    with HTTPServer(("127.0.0.1", 0), Database) as server:
        server.asked, server.vulnerable = set(), set()
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def audit(url, *arguments):
    """Runs the script; nothing but the database is in reach."""
    offline = {"HTTPS_PROXY": UNREACHABLE, "NO_PROXY": "127.0.0.1", "UV_HTTP_RETRIES": "0"}
    return subprocess.run(
        [ROOT / "scripts/audit", "--service-url", url, *arguments],
        env=os.environ | offline,
        capture_output=True,
        text=True,
        check=False,
    )


def test_asks_about_every_locked_package(database):
    done = audit(database.url)
    assert done.returncode == 0, done.stderr
    assert "no known vulnerabilities" in done.stdout + done.stderr
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    locked = {package["name"] for package in lock["package"]}
    assert database.asked == locked - {"pamt-metric"}


def test_fails_where_one_is_vulnerable(database):
    database.vulnerable.add("soundfile")
    done = audit(database.url)
    assert done.returncode == 1
    assert "PYSEC-2026-1" in done.stdout
    assert audit(database.url, "--ignore", "PYSEC-2026-1").returncode == 0


def test_fails_where_the_database_cannot_be_reached():
    done = audit(UNREACHABLE)
    assert done.returncode != 0
    assert UNREACHABLE in done.stderr
