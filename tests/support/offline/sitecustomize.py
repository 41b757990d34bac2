"""On the PYTHONPATH, this ends every attempt of a Python process to reach a network, or itself.

An audit hook hears what is asked for through any library, and cannot be taken away again.
"""

import sys

REACHING = (
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendmsg",
    "socket.sendto",
)


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook."""
    if event in REACHING:
        raise PermissionError(f"offline: {event} with {arguments}")


sys.addaudithook(refuse)
