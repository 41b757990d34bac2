"""The site builds without a warning or a network, and names everything that is public.

`make docs` builds the same into `site/`, `scripts/publish-docs` beside other versions.
"""

import importlib
import os
import re
import runpy
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
VERSIONS = ROOT / "docs/versions.py"
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
def published(tmp_path_factory):
    """A folder of versions, beside which the site was built where no socket connects."""
    folder = tmp_path_factory.mktemp("published")
    offline = os.pathsep.join([str(ROOT / "tests/support/offline"), *sys.path])
    done = subprocess.run(
        [sys.executable, VERSIONS, "dev", folder, "--quiet"],
        env=os.environ | {"PYTHONPATH": offline},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def site(published):
    return published / "dev"


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


def test_every_page_shows_its_version_and_leads_to_the_others(published, site, pages):
    sidebars = [path for path in pages if path.name != "versions.html"]
    assert sidebars
    for path in sidebars:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"Version dev\s*\|", text), path
        (link,) = re.findall(r'href="([^"]*versions\.html)"', text)
        assert (path.parent / link).resolve() == published / "versions.html"


class TestVersions:
    @pytest.fixture
    def listed(self, tmp_path):
        """Writes the list for a folder of versions; returns what it leads to."""

        def write(*names):
            for name in names:
                (tmp_path / name).mkdir()
                (tmp_path / name / "index.html").write_text(f"site of {name}")
            runpy.run_path(str(VERSIONS))["write_list"](tmp_path)
            return re.findall(r'href="([^"]*)/index', (tmp_path / "versions.html").read_text())

        return write

    def test_lists_the_newest_release_first(self, listed, tmp_path):
        assert listed("0.9.0", "0.10.0", "dev") == ["stable", "dev", "0.10.0", "0.9.0"]
        assert (tmp_path / "stable/index.html").read_text() == "site of 0.10.0"
        assert "url=stable/index.html" in (tmp_path / "index.html").read_text()

    def test_a_new_release_becomes_the_stable_one(self, listed, tmp_path):
        listed("0.9.0")
        assert listed("1.0.0") == ["stable", "1.0.0", "0.9.0"]
        assert (tmp_path / "stable/index.html").read_text() == "site of 1.0.0"

    def test_a_candidate_does_not(self, listed, tmp_path):
        assert listed("0.9.0", "1.0.0rc1") == ["stable", "1.0.0rc1", "0.9.0"]
        assert (tmp_path / "stable/index.html").read_text() == "site of 0.9.0"

    def test_without_a_release_the_way_in_leads_to_dev(self, published):
        assert "url=dev/index.html" in (published / "index.html").read_text()
        assert not (published / "stable").exists()

    def test_another_version_than_the_checkout_is_refused(self, tmp_path):
        done = subprocess.run(
            [sys.executable, VERSIONS, "9.9.9", tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "'9.9.9'; is the tag's commit checked out?" in done.stderr


@pytest.mark.slow
def test_publishing_puts_the_site_on_a_branch_and_leaves_what_is_the_same(tmp_path):
    remote = tmp_path / "remote.git"
    git = ["git", "-C", remote]
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    for told in ("dev is on gh-pages", "dev is as it was"):
        done = subprocess.run(
            [ROOT / "scripts/publish-docs", remote],
            env=os.environ | dict.fromkeys(names, "nobody"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert told in done.stdout
    tree = subprocess.run(
        [*git, "ls-tree", "--name-only", "gh-pages"], capture_output=True, text=True, check=True
    )
    assert tree.stdout.split() == [".nojekyll", "dev", "index.html", "versions.html"]
    log = subprocess.run([*git, "rev-list", "gh-pages"], capture_output=True, text=True, check=True)
    assert len(log.stdout.split()) == 1
