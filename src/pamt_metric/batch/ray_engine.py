"""The same scorer on the machines of a Ray cluster, through Ray Data.

The list is cut into chunks of whole batches. A chunk is a row of a dataset; one of a pool of
processes, each with the model, scores it. Chunks come back in the order of the list. Where a
process or its machine dies, Ray starts another, and the chunk is scored again; since a chunk
comes back whole or not at all, nothing is lost and nothing is there twice. Ray Data does so by
default, as often as it takes.
"""

import logging
import os
import pickle
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pamt_metric
from pamt_metric.batch import devices, scorer
from pamt_metric.batch.devices import DeviceName
from pamt_metric.batch.pairs import Pair
from pamt_metric.batch.result import Result
from pamt_metric.errors import InputError, PamtError
from pamt_metric.metric import Metric

if TYPE_CHECKING:
    from ray.data import Dataset

BATCHES_PER_CHUNK = 4
"""Enough for files to be read while the model runs, and little to do again."""
CONNECT_S = 5.0
"""Seconds that the head of a cluster has to answer."""
# Read when Ray starts. A cluster that is started here tells nobody of its use, and listens to this
# machine alone: Ray asks nobody for a password, and runs what it is sent.
_LOCAL = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@contextmanager
def connected(address: str | None, *, actors: int | None = None) -> Iterator[None]:
    """Join a cluster, or start one on this machine for as long as it is needed.

    Args:
        address: `host:port` of the cluster's head, `"auto"` for the one that this machine is part
            of, or None for what `RAY_ADDRESS` says; where that is not set, a cluster is started.
        actors: as for `score`; a cluster that is started has room for so many.

    Raises:
        InputError: Ray is not installed, or the cluster does not answer.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {}
    if address == "local":
        os.environ |= _LOCAL
        options = {"num_cpus": actors, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    elif address != "auto":
        _check_answers(address)
    ray = _ray()
    # What Ray has to say, of a worker that died or when it ends, would stand among the rows.
    with redirect_stdout(sys.stderr):
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except Exception as error:  # a bare one where Ray's own processes start too slowly
            raise InputError(f"no Ray cluster at {address}: {_last_line(error)}") from error
        try:
            yield
        finally:
            ray.shutdown()


def score(
    pairs: Sequence[Pair],
    metric: Metric,
    *,
    device: DeviceName,
    actors: int | None = None,
    **options: Any,
) -> Iterator[list[Result]]:
    """Results of the pairs in their order, a chunk at a time.

    Args:
        pairs: what to score.
        metric: the model, on the CPU; it goes to every process.
        device: where each process runs it; with `"auto"`, on a GPU each if the cluster has any.
        actors: processes, if the cluster is to grow to so many; default: as many as fit.
        options: as for `scorer.score`.

    Raises:
        PamtError: the cluster failed for good.
    """
    if not pairs:
        return
    from ray.exceptions import RayError

    first = 0
    try:
        chunks = _dataset(pairs, metric, device, actors, options)
        for block in chunks.iter_batches(batch_size=None, batch_format="numpy"):
            for at, content in zip(block["first"], block["results"], strict=True):
                if at != first:
                    raise PamtError(f"Ray gave the pairs from {at} on where {first} was next")
                results = pickle.loads(content)  # noqa: S301 (of our own process)
                first += len(results)
                yield results
    except RayError as error:
        raise PamtError(
            f"Ray gave up after pair {first}: {_last_line(error)}; what is written is kept"
        ) from error


class _Scorer:
    """What one process of the cluster does: holds the model, scores chunks."""

    def __init__(
        self, metric: Any, version: str, folder: str, device: DeviceName, options: dict[str, Any]
    ) -> None:
        import ray

        if version != pamt_metric.__version__:
            raise InputError(
                f"a machine of the cluster has pamt-metric {pamt_metric.__version__}, this one "
                f"{version}: install one version everywhere"
            )
        with suppress(OSError):  # where there is no such folder, absolute paths still hold
            os.chdir(folder)
        self._metric = cast("Metric", ray.get(metric)).to(devices.choose(device))
        self._options = options

    def __call__(self, chunk: dict[str, Any]) -> dict[str, Any]:
        pairs = pickle.loads(chunk["pairs"][0])  # noqa: S301 (of our own process)
        batches = scorer.score(pairs, self._metric, **self._options)
        results = [result for batch in batches for result in batch]
        return {"first": chunk["first"], "results": [pickle.dumps(results)]}


def _dataset(
    pairs: Sequence[Pair],
    metric: Metric,
    device: DeviceName,
    actors: int | None,
    options: dict[str, Any],
) -> "Dataset":
    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    size = BATCHES_PER_CHUNK * options["batch_size"]
    rows = [_row(pairs, first, size) for first in range(0, len(pairs), size)]
    there = ray.cluster_resources()
    gpus = device == "cuda" or (device == "auto" and there.get("GPU", 0) > 0)
    fit = max(1, int(there.get("GPU" if gpus else "CPU", 0)))
    wanted = min(actors or fit, len(rows))
    return ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _Scorer,
        fn_constructor_args=(
            ray.put(metric),
            pamt_metric.__version__,
            os.getcwd(),  # noqa: PTH109 (a plain string)
            device,
            options,
        ),
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(
            min_size=min(wanted, fit), max_size=wanted, initial_size=min(wanted, fit)
        ),
        num_cpus=1,
        num_gpus=1 if gpus else 0,
    )


def _row(pairs: Sequence[Pair], first: int, size: int) -> dict[str, Any]:
    bare = [replace(pair, cells={}) for pair in pairs[first : first + size]]
    return {"first": first, "pairs": pickle.dumps(bare)}


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            "--engine ray needs Ray, which is not installed: pip install 'pamt-metric[ray]'"
        ) from error
    return ray


def _check_answers(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise InputError(
            f"address must be host:port of the cluster's head, or auto, got {address!r}; from "
            "outside a cluster, send the command there with 'ray job submit'"
        )
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        raise InputError(
            f"no Ray cluster answers at {address}: {error.strerror or error}; is its head running?"
        ) from error


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1].strip() if str(error).strip() else repr(error)
