"""The site builds without a warning or a network, and names everything that is public.

`make docs` builds the same into `site/`.
"""

import importlib
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
PUBLIC_MODULES = (
    "pamt_metric",
    "pamt_metric.encoders.mert",
    "pamt_metric.errors",
    "pamt_metric.evaluate",
    "pamt_metric.loss",
    "pamt_metric.pairwise",
    "pamt_metric.psychoacoustics",
    "pamt_metric.torchmetrics",
)
# Sphinx, in a process where any attempt to open a connection ends it.
BUILD = """
import socket, sys
def refuse(*arguments, **_):
    raise SystemExit(f"asked for the network: {arguments}")
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.gethostbyname = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""
# Where each tag names what a browser loads without being asked.
LOADED = {
    "audio": "src", "embed": "src", "iframe": "src", "img": "src", "link": "href", "object": "data",
    "script": "src", "source": "src", "video": "src",
}  # fmt: skip


class Page(HTMLParser):
    """What a page loads, where it links, and what can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: set[str] = set()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        if LOADED.get(tag) in given:
            self.loaded.add(given[LOADED[tag]])
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        self.ids.add(given.get("id", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    arguments = ["--fail-on-warning", "--keep-going", "--quiet", "--builder", "html"]
    done = subprocess.run(
        [sys.executable, "-c", BUILD, *arguments, ROOT / "docs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_every_public_name_is_in_the_reference(site, module):
    inventory = zlib.decompress((site / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    described = {line.split()[0] for line in inventory.splitlines() if " py:" in line}
    offered = importlib.import_module(module)
    assert offered.__all__
    missing = set()
    for name in offered.__all__:
        places = {f"{module}.{name}", f"pamt_metric.{name}"}
        if not callable(getattr(offered, name)):  # a constant stands where it is defined
            places = {x for x in described if x.startswith(module) and x.endswith(f".{name}")}
        if not places & described:
            missing.add(name)
    assert missing == set()


def test_no_page_loads_anything_from_elsewhere(site, pages):
    loaded = {(page.name, url) for page, found in pages.items() for url in found.loaded}
    assert any(urlsplit(url).path.endswith(".css") for _, url in loaded)
    assert {x for x in loaded if urlsplit(x[1]).netloc} == set()
    styles = "\n".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)'\"]*", styles) == []


def test_every_link_within_the_site_leads_somewhere(site, pages):
    dead = set()
    for page, found in pages.items():
        for link in found.links | found.loaded:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (page.parent / unquote(url.path)).resolve() if url.path else page
            anchors = pages[target].ids if target in pages else {""}
            if not target.exists() or (url.fragment and unquote(url.fragment) not in anchors):
                dead.add((page.relative_to(site).as_posix(), link))
    assert dead == set()


def test_signatures_are_those_of_the_source(site):
    text = re.sub(r"<[^>]+>", "", (site / "api/index.html").read_text(encoding="utf-8"))
    assert "name_or_path: str | PathLike[str] = 'pamt-mini'" in text
    assert "level: Level = 'match'" in text


def test_commands_are_listed_with_their_options(site):
    text = re.sub(r"<[^>]+>", "", (site / "commands.html").read_text(encoding="utf-8"))
    assert "Usage: pamt score [OPTIONS]" in text
    assert "--fail-over" in text
