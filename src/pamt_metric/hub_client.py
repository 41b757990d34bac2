"""Working with huggingface_hub, the Hub's client: quietly, and with one kind of error.

Its telemetry stays off, and its second transport (Xet) too, because that one can neither be resumed
nor checked here. `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE`, `HF_TOKEN` and the timeouts mean what
they mean to the client.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from pamt_metric.errors import CheckpointError

LOG_IN = "log in with 'hf auth login', or set HF_TOKEN"

# Switches of the client that are on while it works for us.
_SWITCHES = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET")
# What a download that ended early is called, by the client and by its HTTP libraries.
_BROKEN_OFF = ("Consistency check", "RemoteProtocolError", "ChunkedEncodingError")
# What a disk without room answers: it is full, its user's share is, or the file may not grow.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_client_lock = RLock()


def cache_folder(hub_id: str | None = None) -> Path:
    """Where the client keeps its files: all of them, or those of one repository."""
    from huggingface_hub import constants

    root = Path(constants.HF_HUB_CACHE)
    return root if hub_id is None else root / f"models--{hub_id.replace('/', '--')}"


@contextmanager
def client(doing: str, hub_id: str) -> Iterator[None]:
    """Work with the client: quietly, without telemetry, and with one kind of error.

    Args:
        doing: What failed if it fails; begins the message.
        hub_id: The repository.

    Raises:
        CheckpointError: For whatever the client raises.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    with _client_lock:
        before = {name: getattr(constants, name, False) for name in _SWITCHES}
        verbosity = logging.get_verbosity()
        try:
            for name in _SWITCHES:
                setattr(constants, name, True)
            logging.set_verbosity_error()
            yield
        except CheckpointError as error:
            raise CheckpointError(f"{doing}: {error}") from error
        # The client's errors differ between its versions, and with its HTTP library.
        except Exception as error:
            raise CheckpointError(f"{doing}: {_reason(error, hub_id)}") from error
        finally:
            for name, value in before.items():
                setattr(constants, name, value)
            logging.set_verbosity(verbosity)


def _reason(error: Exception, hub_id: str) -> str:
    """What went wrong and what to do, in one line."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    rows = _failures(error, hub_id) if status is None else _refusals(error, hub_id, status)
    return next(message for applies, message in rows if applies)


def _refusals(error: Exception, hub_id: str, status: int) -> list[tuple[bool, str]]:
    """What the Hub's answers mean; the first row that applies."""
    from huggingface_hub import constants, errors, get_token

    page = f"{constants.ENDPOINT}/{hub_id}"
    no_access = isinstance(error, errors.RepositoryNotFoundError) or status == 401
    absent = "there is no such repository"
    return [
        (
            isinstance(error, errors.GatedRepoError),
            f"it is gated: accept its terms at {page}, then {LOG_IN}",
        ),
        (
            isinstance(error, errors.RevisionNotFoundError),
            f"there is no such revision; {page}/commits/main lists them",
        ),
        (
            no_access and get_token() is None,
            f"{absent}, or it is private; check the id, or {LOG_IN}",
        ),
        (no_access, f"{absent}, or your token may not read it; check the id, or {LOG_IN} again"),
        (status == 403, f"your token lacks the permission (403); {LOG_IN} again"),
        (True, f"{constants.ENDPOINT} answers {status}; try again later"),
    ]


def _failures(error: Exception, hub_id: str) -> list[tuple[bool, str]]:
    """What it means that no answer came; the first row that applies."""
    from huggingface_hub import constants, errors

    kind = type(error).__name__
    first_line = (str(error).strip() or kind).splitlines()[0]
    file = error.filename if isinstance(error, OSError) else None
    reason = error.strerror if isinstance(error, OSError) else None
    is_full = isinstance(error, OSError) and error.errno in _FULL
    return [
        (is_full, f"cannot write into {cache_folder()}: {reason}; what came is kept"),
        (
            isinstance(error, errors.OfflineModeIsEnabled),
            f"HF_HUB_OFFLINE is set, and not all files are in {cache_folder(hub_id)}; "
            f"unset it and run 'pamt download {hub_id}', or give a folder that has them",
        ),
        (file is not None and reason is not None, f"cannot write {file}: {reason}"),
        (
            any(word in kind + first_line for word in _BROKEN_OFF),
            "the download broke off; what came is kept: try again to go on from there",
        ),
        ("Timeout" in kind, f"{constants.ENDPOINT} does not answer in time; try again later"),
        (isinstance(error, ValueError), first_line),
        (
            True,
            f"cannot reach {constants.ENDPOINT} ({kind}: {first_line}), and not all files are in "
            f"{cache_folder(hub_id)}; check the connection, or give a folder that has them",
        ),
    ]
