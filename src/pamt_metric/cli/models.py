"""`pamt info`, `download` and `doctor`: what is installed, and what models are here."""

import json
import platform
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer

from pamt_metric.cli.output import EXIT_ERROR, complain

if TYPE_CHECKING:
    from pamt_metric.inventory import ModelState


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


def doctor() -> None:
    """Check every model's files; how to get missing ones."""
    from pamt_metric import inventory

    models = inventory.inspect()
    _print_models(models)
    unsound = [model for model in models if model.files and model.command]
    for model in unsound:
        complain(f"{model.name} is not complete and sound: {model.command}")
    if unsound:
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
