"""Files of the Hugging Face Hub: downloaded once, checked, then found without a network.

Only the files that are asked for are requested, from the Hub and from where it redirects to. They
lie in the Hub client's own cache, so other programs share them. A download that breaks off goes on
where it stopped, also in a later process.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pamt_metric.errors import CheckpointError
from pamt_metric.hub_client import cache_folder, client

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
DEFAULT_REVISION = "main"

MERT_LICENCE = "CC-BY-NC-4.0 (early revisions: MIT)"


class Publication(NamedTuple):
    """A repository that we know.

    Attributes:
        licence: Of its weights, as its publisher states it.
        revision: The commit that is taken where the caller names none.
        sha256: Of the file of weights at that commit, as its Git LFS pointer states it.
    """

    licence: str
    revision: str | None = None
    sha256: str | None = None


PUBLISHED = {
    "m-a-p/MERT-v1-95M": Publication(
        MERT_LICENCE,
        "12af15fef9d0ac838c3f475bfbbf26d2060dd4f5",
        "a2b8b747f72c06e0595aeae41ae5473f4364938c6b39b2c58be38c48e6bd3fcd",
    ),
    "m-a-p/MERT-v1-330M": Publication(MERT_LICENCE),
    "m-a-p/MERT-v0-public": Publication(MERT_LICENCE),
    "m-a-p/MERT-v0": Publication(MERT_LICENCE),
}


class Wanted(NamedTuple):
    """A file that a model needs: the first of `names` that its repository has."""

    names: tuple[str, ...]
    required: bool = True


class Snapshot(NamedTuple):
    """The wanted files of one commit, in one folder."""

    folder: Path
    revision: str


def fetch(
    hub_id: str, wanted: Sequence[Wanted], *, revision: str | None = None, repair: bool = False
) -> Snapshot:
    """Find files of a repository in the cache, or download them into it.

    A commit whose files are all cached costs no request. A branch or a tag costs one, to learn its
    newest commit; where the Hub cannot be reached, the newest one that is cached counts.

    Args:
        hub_id: `owner/name`.
        wanted: The first one is required.
        revision: Commit, tag or branch; the pinned commit by default, else the main branch.
        repair: Check cached files too, and download those anew that are damaged.

    Raises:
        CheckpointError: A required file cannot be got, or is not what the Hub says it is; the
            message says why and what to do.
    """
    revision = revision or pinned_revision(hub_id) or DEFAULT_REVISION
    with client(f"cannot get {hub_id} at revision {revision}", hub_id):
        folder = None
        for file in wanted:
            commit = revision if folder is None else folder.name
            path = _find_or_download(hub_id, file, commit, repair=repair)
            folder = folder if path is None else path.parent
        if folder is None:
            raise CheckpointError("it has none of the files")
    return Snapshot(folder, folder.name)


def pinned_revision(hub_id: str) -> str | None:
    """The commit that is taken where the caller names none, if there is one."""
    return PUBLISHED[hub_id].revision if hub_id in PUBLISHED else None


def check_sha256(hub_id: str, revision: str, path: Path, found: str) -> None:
    """Compare a downloaded file of weights with what is known of it.

    Args:
        hub_id: Its repository.
        revision: The commit.
        path: Where it lies.
        found: Its sha256.

    Raises:
        CheckpointError: It is not what the Hub stated, or not what we know of a pinned commit.
    """
    pin = PUBLISHED.get(hub_id)
    stated = path.resolve().name
    expected = stated if _SHA256.fullmatch(stated) else None
    if pin is not None and pin.revision == revision:
        expected = pin.sha256
    if expected is not None and found != expected:
        raise CheckpointError(
            f"{path} of {hub_id} has sha256 {found}, expected {expected}; the file is damaged: "
            f"'pamt download {hub_id}' gets it again"
        )


def is_intact(path: Path) -> bool | None:
    """Whether a cached file has the content that the Hub stated; None where that is unknown."""
    stated = path.resolve().name
    if _SHA256.fullmatch(stated):
        return sha256_of(path) == stated
    if COMMIT.fullmatch(stated):
        content = path.read_bytes()
        blob = b"blob %d\0" % len(content) + content
        return hashlib.sha1(blob, usedforsecurity=False).hexdigest() == stated
    return None


def sha256_of(path: Path) -> str:
    """Hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_known_absent(hub_id: str, name: str, commit: str) -> bool:
    """Whether the Hub has said that a commit has no file of this name."""
    return (cache_folder(hub_id) / ".no_exist" / commit / name).is_file()


def _find_or_download(hub_id: str, file: Wanted, revision: str, *, repair: bool) -> Path | None:
    """Path of the first name that the repository has; None where it has no optional file."""
    is_commit = COMMIT.fullmatch(revision) is not None
    for name in file.names if is_commit else ():
        path = _cached(hub_id, name, revision)
        if path is not None and not (repair and is_intact(path) is False):
            return path
    for name in file.names:
        if is_commit and is_known_absent(hub_id, name, revision):
            continue
        path = _download(hub_id, name, revision, repair=repair)
        if path is not None:
            return path
    if not file.required:
        return None
    raise CheckpointError(
        f"it has no {' or '.join(file.names)}; is it a model that this package can load?"
    )


def _cached(hub_id: str, name: str, revision: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub_id, name, revision=revision)
    return Path(found) if isinstance(found, str) else None


def _download(hub_id: str, name: str, revision: str, *, repair: bool) -> Path | None:
    """Path of a file at a revision, downloaded where it is not cached; None where there is none."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    url = hf_hub_url(hub_id, name, revision=revision)
    cached = _cached(hub_id, name, revision)
    try:
        metadata = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except EntryNotFoundError as error:
        _remember_absence(hub_id, name, error)
        return None
    except Exception:
        if cached is None or repair:
            raise
        return cached
    if metadata.etag is None or metadata.commit_hash is None:
        raise CheckpointError(f"{constants.ENDPOINT} does not answer as the Hub does")
    blob = cache_folder(hub_id) / "blobs" / metadata.etag
    if repair and blob.is_file() and is_intact(blob) is False:
        blob.unlink()
    if not blob.is_file():
        _download_blob(url, name, metadata, blob)
    if cached is not None and cached.parent.name == metadata.commit_hash:
        return cached
    # The client finds the content there, and files it under its commit and name.
    return Path(hf_hub_download(hub_id, name, revision=revision))


def _remember_absence(hub_id: str, name: str, error: Any) -> None:
    """As the client does; the next load of this commit need not ask again."""
    commit = error.response.headers.get("X-Repo-Commit")
    if commit is not None and COMMIT.fullmatch(commit):
        marker = cache_folder(hub_id) / ".no_exist" / commit / name
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def _download_blob(url: str, name: str, metadata: "HfFileMetadata", blob: Path) -> None:
    """Download a file's content, from where the last attempt stopped, and check it."""
    from huggingface_hub.utils import WeakFileLock

    partial = blob.with_name(f"{blob.name}.incomplete")
    # The client's own lock, so that no other program downloads the same meanwhile.
    lock = cache_folder() / ".locks" / blob.parent.parent.name / f"{blob.name}.lock"
    for path in (partial, lock):
        path.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if blob.is_file():  # another process got it meanwhile
            return
        _download_into(partial, url, name, metadata)
        complete = partial.replace(blob)
    if is_intact(complete) is False:
        found = sha256_of(complete)
        complete.unlink()
        raise CheckpointError(
            f"{name} came with sha256 {found}, which is not what the Hub states ({blob.name}); "
            "it was damaged on its way and has been deleted: try again"
        )


def _download_into(partial: Path, url: str, name: str, metadata: "HfFileMetadata") -> None:
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    with partial.open("ab") as file:
        if metadata.size is not None and file.tell() > metadata.size:
            file.truncate(0)
        # The client's HTTP library drops the token where the Hub redirects to another host.
        http_get(
            url,
            file,
            resume_size=file.tell(),
            headers=build_hf_headers(),
            expected_size=metadata.size,
            displayed_filename=name,
        )
