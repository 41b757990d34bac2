"""Resident memory of this process, as Linux counts it."""

from pathlib import Path

MIB = 2**20


def resident() -> int:
    """Bytes now."""
    return _status("VmRSS")


def peak() -> int:
    """Most bytes since the process began or `restart_peak` was called."""
    return _status("VmHWM")


def restart_peak() -> None:
    """Forget the peak so far: that of the imports, or of the process this one was forked from."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024
