"""The web server that a browser asks: viser's, on an address that was checked before."""

import contextlib
import errno
import socket
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from recon.errors import BridgeError, MissingDependencyError

if TYPE_CHECKING:
    import viser

LOOPBACK = "127.0.0.1"
"""Reachable from this machine alone."""
PORTS_TRIED = 100
"""How many ports from the one asked for on are looked at; whoever runs more viewers names one."""


def start_server(*, host: str = LOOPBACK, port: int = 8080) -> "viser.ViserServer":
    """A viser server on the first free port from `port` on.

    Raises:
        MissingDependencyError: viser is not installed.
        BridgeError: an address that is not one of this machine, or no port that may be used.
    """
    try:
        import viser
    except ImportError:
        raise MissingDependencyError(
            "the viewer needs viser, which is not installed here; run: pip install 'bridge4d[view]'"
        ) from None
    # a window that is closed while it is written to is nothing to worry about
    warnings.filterwarnings("ignore", "Queued a .* on a closed connection")
    # viser itself would try ports beyond the last one, and wait for ever where none can be had
    free = find_free_port(host, port)
    with silence_viser():
        return viser.ViserServer(host=host, port=free, verbose=False)


def find_free_port(host: str, port: int) -> int:
    """The first port from `port` on that this machine grants.

    Raises:
        BridgeError: a port that is none, a host that is not this machine, or nothing free.
    """
    if not 1 <= port <= 65535:
        raise BridgeError(f"expected a port from 1 to 65535, got {port}")
    last = min(port + PORTS_TRIED - 1, 65535)
    for candidate in range(port, last + 1):
        try:
            _bind(host, candidate)
        except PermissionError:
            raise BridgeError(
                f"port {candidate} may only be served by root; choose one from 1024 on"
            ) from None
        except (socket.gaierror, UnicodeError):
            raise BridgeError(
                f"{host!r} is no address of this machine; use 127.0.0.1 for it alone, 0.0.0.0 for the network"
            ) from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise BridgeError(
                    f"{host} is no address of this machine; use 127.0.0.1 for it alone, 0.0.0.0 for the network"
                ) from None
            continue
        return candidate
    raise BridgeError(f"ports {port} to {last} are all taken; choose another --port")


def _bind(host: str, port: int) -> None:
    """Takes a port as the server will, and gives it back."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(address)
        trial.listen(1)


def address_of(server: "viser.ViserServer") -> str:
    """What to type into a browser; the port is the one that is served."""
    host = server.get_host()
    if host in ("0.0.0.0", "::", ""):
        host = socket.gethostname()
    return f"http://[{host}]:{server.get_port()}" if ":" in host else f"http://{host}:{server.get_port()}"


@contextlib.contextmanager
def silence_viser() -> Iterator[None]:
    """Keeps viser from printing its banner; standard output belongs to the command."""
    import rich

    console = rich.get_console()
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before
