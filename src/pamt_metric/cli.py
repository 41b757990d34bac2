"""The `pamt` command: score and embed audio files, get models, tell what is installed.

Every error is one line on stderr and exit code 2. Where one file of several fails, the others are
still scored, and the failed one keeps its reason.
"""

import json
import platform
import sys
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from pamt_metric.errors import InputError, PamtError

if TYPE_CHECKING:
    from torch import Tensor

    from pamt_metric.comparison import Comparison
    from pamt_metric.inventory import ModelState

EXIT_ERROR = 2
# click's own exception in older releases of typer, that of its own copy of click in newer ones
_UsageError: type[Exception] = typer.BadParameter.mro()[2]

app = typer.Typer(
    name="pamt",
    help="How different do two pieces of music sound to a person?",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ModelOption = Annotated[
    str, typer.Option("--model", help="Bundled model, folder, or Hub id owner/name.")
]


class Level(StrEnum):
    """Choices of `--level`."""

    MATCH = "match"
    ABSOLUTE = "absolute"


class Align(StrEnum):
    """Choices of `--align`."""

    AUTO = "auto"
    NONE = "none"


LevelOption = Annotated[
    Level, typer.Option("--level", help="match: at equal loudness; absolute: as they are.")
]
AlignOption = Annotated[
    Align, typer.Option("--align", help="auto: take out one lag up to 0.5 s; none: do not.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
VersionOption = Annotated[bool, typer.Option("--version", help="Print the version and exit.")]


@dataclass(frozen=True)
class _Row:
    """One test file: its result, or the reason why there is none."""

    test: str
    result: dict[str, Any] | None
    reason: str | None


@app.command()
def score(  # noqa: PLR0917 (typer calls it by name)
    reference: Annotated[str, typer.Argument(help="Audio file to compare with.")],
    tests: Annotated[list[str], typer.Argument(help="Audio files to score.", metavar="TEST...")],
    as_json: JsonOption = False,  # noqa: FBT002 (typer calls it by name)
    level: LevelOption = Level.MATCH,
    align: AlignOption = Align.AUTO,
    model: ModelOption = "pamt-mini",
) -> None:
    """Score TEST files against REFERENCE: 0 the same, 1 just noticeable, larger more different."""
    from pamt_metric import audio, checkpoint
    from pamt_metric.psychoacoustics.frames import SAMPLE_RATE

    metric = checkpoint.load(model)
    audio.load(reference, target_rate=SAMPLE_RATE)  # a bad reference is one error, not one a row
    rows = []
    for test in tests:
        try:
            found = metric.compare(reference, test, level=level.value, align=align.value)
            rows.append(_Row(test, cast("Comparison", found).summary(), None))
        except InputError as error:
            rows.append(_Row(test, None, str(error)))
    if as_json:
        typer.echo(json.dumps(_as_json(reference, rows), indent=2))
    else:
        _print_table(rows)
    _exit_on_failures(rows)


@app.command()
def embed(
    files: Annotated[list[str], typer.Argument(help="Audio files.", metavar="FILES...")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz file to write.")],
    level: LevelOption = Level.MATCH,
    model: ModelOption = "pamt-mini",
) -> None:
    """Write embeddings of FILES: arrays `files` (n,), `embeddings` (n, dim), `model`."""
    import numpy as np

    from pamt_metric import checkpoint

    if output.suffix != ".npz":
        raise InputError(f"output must end in .npz, got {output}")
    if not output.parent.is_dir():
        raise InputError(f"no folder {output.parent} to write {output.name} into")
    metric = checkpoint.load(model)
    rows, embeddings = [], []
    for file in files:
        try:
            embeddings.append(cast("Tensor", metric.embed(file, level=level.value)).numpy())
            rows.append(_Row(file, {}, None))
        except InputError as error:
            rows.append(_Row(file, None, str(error)))
    done = [row.test for row in rows if row.result is not None]
    if done:
        stamp = f"{metric.info.name} {metric.info.version} {metric.info.sha256}"
        try:
            np.savez(output, files=np.array(done), embeddings=np.stack(embeddings), model=stamp)
        except OSError as error:
            raise InputError(f"cannot write {output}: {error.strerror}") from error
        typer.echo(f"wrote {len(done)} embeddings to {output}")
    _exit_on_failures(rows)


@app.command()
def info() -> None:
    """Versions, and the device that would be used."""
    import torch

    import pamt_metric
    from pamt_metric import checkpoint

    lines = {
        "pamt-metric": pamt_metric.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": metadata.version("transformers"),
        "huggingface_hub": metadata.version("huggingface_hub"),
        "device": f"cuda ({torch.cuda.get_device_name()})" if torch.cuda.is_available() else "cpu",
        "threads": str(torch.get_num_threads()),
    }
    for name, folder in checkpoint.bundled_models().items():
        config = json.loads((folder / checkpoint.CONFIG_FILE).read_text(encoding="utf-8"))
        lines[f"model {name}"] = config["version"]
    width = max(map(len, lines))
    for name, value in lines.items():
        typer.echo(f"{name:<{width}}  {value}")


@app.command()
def download(
    model: Annotated[str, typer.Argument(help="Hub id owner/name of a model or an encoder.")],
    revision: Annotated[
        str | None, typer.Option("--revision", help="Commit, tag or branch; default: pinned.")
    ] = None,
) -> None:
    """Get MODEL's files from the Hub; damaged ones anew."""
    from pamt_metric import inventory

    for folder in inventory.download(model, revision=revision):
        typer.echo(folder)


@app.command()
def doctor() -> None:
    """Check every model's files; how to get missing ones."""
    from pamt_metric import inventory

    models = inventory.inspect()
    _print_models(models)
    unsound = [model for model in models if model.files and model.command]
    for model in unsound:
        typer.echo(f"pamt: {model.name} is not complete and sound: {model.command}", err=True)
    if unsound:
        raise typer.Exit(EXIT_ERROR)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: VersionOption = False,  # noqa: FBT002 (typer calls it by name)
) -> None:
    if version:
        typer.echo(metadata.version("pamt-metric"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Entry point of the `pamt` command."""
    try:
        code = app(standalone_mode=False)
    except PamtError as error:
        _fail(str(error))
    except _UsageError as error:
        _fail(cast("Any", error).format_message())
    except KeyboardInterrupt:
        _fail("interrupted", code=130)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, *, code: int = EXIT_ERROR) -> None:
    typer.echo("pamt: " + " ".join(message.split()), err=True)
    sys.exit(code)


def _print_table(rows: list[_Row]) -> None:
    from pamt_metric.comparison import describe

    width = max(len(row.test) for row in rows)
    header = f"{'test':<{width}}  distance  fidelity  content  added  missing   meaning"
    typer.echo(header)
    for row in rows:
        if row.result is None:
            typer.echo(f"{row.test:<{width}}  {'failed':>8}")
            continue
        value = row.result
        typer.echo(
            f"{row.test:<{width}}  {value['distance']:8.3f}  {value['fidelity']:8.3f}  "
            f"{value['content']:7.3f}  {value['added']:5.2f}  {value['missing']:7.2f}   "
            f"{describe(value['distance'])}"
        )
    for row in rows:
        for warning in row.result["warnings"] if row.result else ():
            typer.echo(f"pamt: {row.test}: warning: {warning}", err=True)


def _as_json(reference: str, rows: list[_Row]) -> dict[str, Any]:
    results = [
        {"test": row.test, "status": "ok", **row.result}
        if row.result is not None
        else {"test": row.test, "status": "failed", "distance": None, "reason": row.reason}
        for row in rows
    ]
    return {"reference": reference, "results": results}


def _exit_on_failures(rows: list[_Row]) -> None:
    failed = [row for row in rows if row.result is None]
    for row in failed:
        typer.echo("pamt: " + " ".join(str(row.reason).split()), err=True)
    if failed:
        raise typer.Exit(EXIT_ERROR)


def _print_models(models: list["ModelState"]) -> None:
    from huggingface_hub import constants, get_token

    for model in models:
        typer.echo(f"{model.name}  {model.revision}  {model.licence}")
        for file in model.files:
            described = f"{file.condition:<10}  {_size(file.size):>8}  {file.sha256:<64}"
            typer.echo(f"  {described}  {file.path}")
        if model.command:
            typer.echo(f"  {'get it' if model.files else 'not here; get it'}: {model.command}")
    offline = "offline (HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else constants.ENDPOINT
    token = "no token" if get_token() is None else "with a token"
    typer.echo(f"Hub: {offline}, {token}, cache {constants.HF_HUB_CACHE}")


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"
