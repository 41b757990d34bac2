"""Builds the site of this checkout beside the sites of other versions.

`python docs/versions.py NAME FOLDER` writes `FOLDER/NAME`, where NAME is `dev` or the version of
the package; then `FOLDER/stable`, a copy of the newest release, `FOLDER/versions.html`, which lists
all that lie there and to which every page links, and `FOLDER/index.html`, which leads to `stable`,
or to `dev` where nothing is released. Arguments after those go to Sphinx.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from packaging.version import InvalidVersion, Version
from sphinx.cmd.build import build_main

import pamt_metric

DOCS = Path(__file__).parent
DEV = "dev"
STABLE = "stable"
LIST = "versions.html"
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
{head}<title>pamt-metric: {title}</title>
<body style="font-family: sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em">
{body}
</body>
</html>
"""


def main(name: str, folder: Path, *options: str) -> int:
    """Builds, and lists; returns the exit code."""
    if name not in (DEV, pamt_metric.__version__):
        sys.stderr.write(
            f"versions: this checkout is {pamt_metric.__version__}, so its site is that or "
            f"'{DEV}', got {name!r}; is the tag's commit checked out?\n"
        )
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    site = folder / name
    if site.exists():
        shutil.rmtree(site)
    with tempfile.TemporaryDirectory() as pickles:
        failed = build_main(
            [
                *("--fail-on-warning", "--keep-going", "--builder", "html"),
                *("--define", f"version={name}", "--define", f"release={name}"),
                *("--html-define", f"versions_page=../{LIST}", "--doctree-dir", pickles),
                *options,
                *(str(DOCS), str(site)),
            ]
        )
    if not failed:
        write_list(folder)
    return failed


def write_list(folder: Path) -> None:
    """Brings `stable`, the list and the way in up to date with what lies in a folder."""
    found = versions(folder)
    newest = next((name for name in found if not Version(name).is_prerelease), None)
    shutil.rmtree(folder / STABLE, ignore_errors=True)
    entries = []
    if newest is not None:
        shutil.copytree(folder / newest, folder / STABLE)
        entries.append(_entry(STABLE, f"{STABLE} ({newest})"))
    if (folder / DEV).is_dir():
        entries.append(_entry(DEV, f"{DEV} (unreleased)"))
    entries += [_entry(name, name) for name in found]
    listed = "<h1>Versions of pamt-metric</h1>\n<ul>\n" + "\n".join(entries) + "\n</ul>"
    (folder / LIST).write_text(PAGE.format(head="", title="versions", body=listed))

    first = DEV if newest is None else STABLE
    lead = f'<meta http-equiv="refresh" content="0; url={first}/index.html">\n'
    body = (
        f'<p><a href="{first}/index.html">Documentation</a>, <a href="{LIST}">all versions</a></p>'
    )
    (folder / "index.html").write_text(PAGE.format(head=lead, title="documentation", body=body))
    (folder / ".nojekyll").touch()  # GitHub's pages leave out `_static` otherwise


def versions(folder: Path) -> list[str]:
    """Names of the versions in a folder, the newest first."""
    found = {}
    for path in folder.iterdir():
        try:
            found[Version(path.name)] = path.name
        except InvalidVersion:
            continue
    return [found[version] for version in sorted(found, reverse=True)]


def _entry(folder: str, text: str) -> str:
    return f'<li><a href="{folder}/index.html">{text}</a></li>'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
