"""Every snippet of every page runs, and prints what the page says it prints.

What cannot run here (it takes hours, or data that may not be passed on) stands in `NOT_RUN`, and is
checked as far as it goes: the script exists, the options exist, the extra exists.
"""

import glob
import importlib
import io
import os
import re
import shlex
import sys
import tomllib
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest
import soundfile
import torch
import typer

from pamt_metric import checkpoint, cli, hub
from tests.support import shell, signals, snippets
from tests.support.hub_server import HubServer
from tests.support.snippets import ROOT, Snippet

RATE = 24_000
ELSEWHERE = (
    "README.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    "training/README.md",
    "src/pamt_metric/models/pamt-mini/MODEL_CARD.md",
)
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in ELSEWHERE)]
SNIPPETS = [snippet for page in PAGES for snippet in snippets.find(page)]
PYTHON = [snippet for snippet in SNIPPETS if snippet.language == "python"]
DATA = ("csv", "yaml", snippets.OUTPUT)
"""Kinds that are not run."""
SHELL = [
    snippet
    for snippet in SNIPPETS
    if snippet.language == "sh"
    or (snippet.language == "" and snippet.text.startswith("python -m "))
]
SCORE = typer.main.get_command(cli.app).commands["score"]
GOLDEN = ROOT / "tests/golden/mert"
ENCODER_FILES = {
    "config.json": "mert-330m-tiny.config.json",
    "preprocessor_config.json": "preprocessor_config.json",
    "pytorch_model.bin": "pytorch_model.bin",
}


def _benchmark_options(words):
    """The subcommand exists, and has these options."""
    app = typer.main.get_command(importlib.import_module("benchmarks.__main__").app)
    command = app.commands[words[0]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def _training_options(words):
    """The stage exists, and its help names these options."""
    stage, *arguments = words
    stages = importlib.import_module("training.__main__")
    assert stage in stages.STAGES
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "argv", ["training", stage, "--help"])
        with pytest.raises(SystemExit):
            stages.main()
    known = set(re.findall(r"--[\w-]+", printed.getvalue()))
    assert {word for word in arguments if word.startswith("--")} <= known


def _extra(words):
    """The project has the extra of `.[extra]`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if match := re.fullmatch(r"(?:\.|pamt-metric)\[(\w+)\]", words[-1]):
        assert match[1] in project["optional-dependencies"]
    else:
        assert words[-1] == "."


def _cluster_options(words):
    """The command has these options."""
    known = {option for parameter in SCORE.params for option in parameter.opts}
    assert "--engine" in known
    assert {word for word in words if word.startswith("--")} <= known


def _script(words):
    assert os.access(ROOT / words[0], os.X_OK)


def _published(words):
    """A model whose place and hash the package knows."""
    assert words[0] in hub.PUBLISHED


NOT_RUN = {
    # starts a cluster, which takes half a minute; tests/test_ray.py does
    r"pamt score (?=.*--engine ray)": _cluster_options,
    # commands of Ray's own, on several machines
    r"(?:RAY_USAGE_STATS_ENABLED=0 )?ray start ": lambda _: None,
    # takes listening tests that may not be passed on; tests/unit runs it on made-up ones
    r"python -m benchmarks\b": _benchmark_options,
    # takes hours; tests/test_publish.py and tests/unit run it on tiny data
    r"python -m training[ .]": _training_options,
    # several processes, perhaps machines; tests/test_training_runs.py starts two
    r"(?:torchrun|accelerate launch) .*-m training ": _training_options,
    # changes the environment that the tests run in
    r"pip install ": _extra,
    # these contain the tests, or set up what they run in
    r"(?:PAMT_TEST_SLOW=1 )?(?=(\./)?(scripts/|\.ci/))": _script,
    # its weights are known by their hash, and are 378 MB; tests/test_hub.py downloads others
    r"pamt download (?=m-a-p/MERT-v1-95M$)": _published,
    # writes to the user's shell; tests/test_cli_shell.py runs it in a home of its own
    r"pamt --install-completion$": lambda _: None,
}
# Of these only the imports run: what they need is made by training, or takes minutes.
IMPORTS_ONLY = {
    "results = sanity.run(metric, sanity.find_clips(None).clips)": "benchmarks/README.md",
}


def not_run(command):
    """The rule for a command that is not run, if there is one."""
    return next((rule for rule in NOT_RUN if re.match(rule, command)), None)


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_metric, tiny_head_config):
    """A folder with a tiny model and a tiny encoder in the layout of a published one."""
    folder = tmp_path_factory.mktemp("models")
    checkpoint.save(
        tiny_metric, folder / "model", encoder_hub=None, name="model", version="1",
        head_config=tiny_head_config, card={"licence": "CC-BY-4.0"},
    )  # fmt: skip
    (folder / "encoder").mkdir()
    for name, golden in ENCODER_FILES.items():
        (folder / "encoder" / name).write_bytes((GOLDEN / golden).read_bytes())
    return folder


@pytest.fixture(scope="module")
def environment(made, tmp_path_factory):
    """What a process of a snippet sees: a Hub with somebody's model, and a home of its own."""
    home = str(tmp_path_factory.mktemp("home"))
    unwanted = {"HF_TOKEN", "HF_HUB_CACHE", "HF_TOKEN_PATH", "HF_HUB_DISABLE_TELEMETRY"}
    kept = {k: v for k, v in os.environ.items() if k not in unwanted}
    with HubServer() as server:
        server.add("owner/model", {x.name: x.read_bytes() for x in (made / "model").iterdir()})
        hub_at = {"HF_ENDPOINT": server.endpoint, "HF_HOME": home, "HF_HUB_OFFLINE": "0"}
        yield kept | hub_at | {"HOME": home, "XDG_CACHE_HOME": home}


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    """A working folder with every file that a page names."""
    path = tmp_path_factory.mktemp("pages")
    for name in ("reference", "degraded", "other"):
        (path / f"{name}.flac").symlink_to(ROOT / f"examples/{name}.flac")
    for name in ("A", "B", "FOLDER"):
        (path / name).mkdir()
    piece, other = (signals.piece(0.6, seed=seed, sample_rate=RATE) for seed in (0, 1))
    sounds = {
        "a reference query A/1 FOLDER/first": piece,
        "b test1 B/1 FOLDER/second": signals.with_noise(piece, 20.0),
        "test2 A/2 B/2 FOLDER/third": other,
    }
    for names, sound in sounds.items():
        for name in names.split():
            soundfile.write(path / f"{name}.wav", sound.numpy(), RATE, subtype="FLOAT")
    rows = next(x.text for x in SNIPPETS if x.language == "csv" and x.page == "docs/batch.md")
    (path / "pairs.csv").write_text(rows)
    (path / "my-model").symlink_to(made / "model")
    (path / "MERT-v1-330M").symlink_to(made / "encoder")
    return path


@pytest.fixture(scope="module")
def pamt(folder, environment):
    with shell.server(folder, environment) as run:
        yield run


@pytest.fixture
def versa(monkeypatch):
    """Stands in for VERSA, which is no package to install: the names that a metric uses."""
    definition = ModuleType("versa.definition")
    base = type(
        "BaseMetric", (), {"__init__": lambda self, config: setattr(self, "config", config)}
    )
    vars(definition).update(
        BaseMetric=base,
        MetricCategory=ModuleType("MetricCategory"),
        MetricMetadata=lambda **fields: fields,
        MetricType=ModuleType("MetricType"),
    )
    vars(definition)["MetricCategory"].DEPENDENT = vars(definition)["MetricType"].FLOAT = None
    monkeypatch.setitem(sys.modules, "versa", ModuleType("versa"))
    monkeypatch.setitem(sys.modules, "versa.definition", definition)


@pytest.mark.parametrize(
    ("printed", "shown", "same"),
    [
        ("2.268 a  b\n", "2.267 a b\n", True),
        ("2.268\n", "2.260\n", False),
        ("-0.5\n", "0.5\n", False),
        ("3 ok\n", "4 ok\n", False),
        ("a\nb\n", "a\n", False),
        ("a\nb\nc\n", "a\n...\n", True),
        ("a\nb\nc\n", "...\nb\n", False),
    ],
)
def test_what_is_printed_is_told_from_what_is_not(printed, shown, same):
    assert snippets.matches(printed, shown) == same


def test_every_block_is_of_a_known_kind():
    strange = [
        str(snippet)
        for snippet in SNIPPETS
        if snippet not in SHELL
        and snippet.language not in ("python", *DATA)
        and not snippet.language.startswith("{")
    ]
    assert strange == []


def test_no_code_hides_in_a_directive():
    directives = [snippet for snippet in SNIPPETS if snippet.language.startswith("{")]
    assert directives
    assert [str(snippet) for snippet in directives if "```" in snippet.text] == []


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_python(snippet, folder, versa, monkeypatch):
    monkeypatch.chdir(folder)
    if any(IMPORTS_ONLY.get(line) == snippet.page for line in snippet.text.splitlines()):
        found = _executed(
            "\n".join(re.findall(r"^(?:from|import) .*", snippet.text, re.M)), snippet
        )
    else:
        found = _executed(snippet.text, snippet)
    if snippet.output is not None:
        assert snippets.matches(found, snippet.output), f"it printed:\n{found}"


def _executed(code: str, snippet: Snippet) -> str:
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, str(snippet), "exec"), {"__name__": "snippet"})  # noqa: S102
    return printed.getvalue()


def test_versa_snippet_gives_the_distance(versa):
    (snippet,) = (x for x in PYTHON if "versa" in x.text)
    names = {}
    exec(snippet.text, names)  # noqa: S102
    metric = names["PamtDistance"]({})
    metric._setup()
    clip = torch.rand(RATE // 4).numpy() - 0.5
    assert metric.compute(clip, clip, {"sample_rate": RATE}) == {"pamt_distance": 0.0}
    assert metric.get_metadata()["name"] == "pamt_distance"


@pytest.fixture
def tidy(folder):
    """Takes away what a snippet wrote: each page is read by somebody who has not run the others."""
    before = set(folder.iterdir())
    yield
    for path in set(folder.iterdir()) - before:
        path.unlink()


@pytest.mark.parametrize("snippet", SHELL, ids=str)
def test_shell(snippet, folder, pamt, tidy):
    printed = ""
    for command in snippets.commands(snippet.text):
        words = shlex.split(command, comments=True)
        if rule := not_run(shlex.join(words)):
            rest = shlex.join(words)[re.match(rule, shlex.join(words)).end() :]
            NOT_RUN[rule](shlex.split(rest))
            continue
        assert words[0] == "pamt", f"neither run nor in NOT_RUN: {command}"
        arguments = [name for word in words[1:] for name in _expanded(word, folder)]
        done = pamt(*arguments)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        printed += done.stdout
    if snippet.output is not None:
        assert snippets.matches(printed, snippet.output), f"it printed:\n{printed}"


def _expanded(word: str, folder: Path) -> list[str]:
    """A pattern's files, as a shell has them."""
    return sorted(glob.glob(word, root_dir=folder)) or [word]  # noqa: PTH207 (names, not paths)


def test_every_exception_is_needed():
    given = [
        shlex.join(shlex.split(c, comments=True)) for x in SHELL for c in snippets.commands(x.text)
    ]
    assert {not_run(command) for command in given} - {None} == set(NOT_RUN)
    lines = {(line, x.page) for x in PYTHON for line in x.text.splitlines()}
    assert set(IMPORTS_ONLY.items()) <= lines
