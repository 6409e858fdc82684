"""A world model behind HTTP: the request folder goes out as a zip archive, and the answer comes back as one."""

import ipaddress
import shutil
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from recon.bounded import parse_json
from recon.compute.programs import MOST_SAID
from recon.errors import BridgeError
from worldgen.outside.ask import Outside
from worldgen.outside.options import OutsideOptions
from worldgen.outside.unpack import LARGEST_REPLY, unpack_answer

SPEC_SECONDS = 10.0
"""Within which a server says what it takes: it is asked before the long work, and loads nothing for it."""
LARGEST_SPEC = 1 << 16
"""Bytes of a spec.json."""
STEP = 1 << 20
"""Bytes of one piece that is copied."""


class Server(Outside):
    """Posts each request to a URL, and reads its options from ``spec.json`` below it, where there is one.

    Args:
        address: what follows the scheme: ``//localhost:8000/``.

    Raises:
        BridgeError: no such URL, or nobody answers there.
    """

    scheme = "http"

    def __init__(self, address: str, options: OutsideOptions, *, folder: Path | None = None) -> None:
        super().__init__(options, folder=folder)
        self.url = f"{self.scheme}:{address}"
        try:
            parts = urlsplit(self.url)
            self.host, _ = parts.hostname or "", parts.port
        except ValueError as error:
            raise BridgeError(
                f"expected a URL as --model http://host:port/, got {self.url!r} ({error})"
            ) from error
        if not self.host:
            raise BridgeError(f"expected a URL as --model http://host:port/, got {self.url!r}")
        self.options = self.options.completed(self._stated_spec(), f"{self.url} (spec.json)")

    @property
    def identity(self) -> tuple[str, ...]:
        """The URL and the stated key."""
        return (self.url, self.options.key)

    def _answer(self, request: Path, answer: Path) -> None:
        packed, reply = answer.parent / ".request.zip", answer.parent / ".answer.zip"
        try:
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
                for file in sorted(path for path in request.rglob("*") if path.is_file()):
                    archive.write(file, file.relative_to(request).as_posix())
            with packed.open("rb") as body:
                headers = {"Content-Type": "application/zip", "Content-Length": str(packed.stat().st_size)}
                call = urllib.request.Request(self.url, body, headers, method="POST")
                self._open(
                    call, self.options.seconds, lambda stream, until: _save(stream, reply, until, self.url)
                )
            unpack_answer(reply, answer, self.url)
        finally:
            for file in (packed, reply):
                file.unlink(missing_ok=True)

    def _stated_spec(self) -> Any:
        """What ``spec.json`` of the server says; nothing where it has none."""
        found: list[bytes] = []
        call = urllib.request.Request(self.url.rstrip("/") + "/spec.json")
        try:
            self._open(call, SPEC_SECONDS, lambda stream, until: found.append(stream.read(LARGEST_SPEC)))
        except _NotFoundError:
            return {}
        return parse_json(found[0], f"{call.full_url}")

    def _open(
        self, call: urllib.request.Request, seconds: float, read: Callable[[HTTPResponse, float], Any]
    ) -> None:
        until = time.monotonic() + seconds
        handlers = [urllib.request.ProxyHandler({})] if _is_this_machine(self.host) else []
        try:
            with urllib.request.build_opener(*handlers).open(call, timeout=seconds) as stream:
                read(stream, until)
        except BridgeError:
            raise
        except urllib.error.HTTPError as error:
            if call.data is None and error.code in (404, 405, 501):
                raise _NotFoundError(str(error)) from error
            words = " ".join(error.read(STEP).decode("utf-8", "replace").split())[:MOST_SAID]
            raise BridgeError(
                f"{self.url} refused the request ({error.code} {error.reason}): {words}"
            ) from error
        except TimeoutError as error:
            raise _too_long(self.url, seconds) from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise _too_long(self.url, seconds) from error
            raise BridgeError(
                f"no world model answers at {self.url} ({reason}); start its server first"
            ) from error
        except Exception as error:  # http.client raises kinds of its own at broken replies
            raise BridgeError(
                f"{self.url} answered with no HTTP ({type(error).__name__}: {error})"
            ) from error


class SecureServer(Server):
    """The same over HTTPS."""

    scheme = "https"


class _NotFoundError(BridgeError):
    """There is no such page."""


def _too_long(url: str, seconds: float) -> BridgeError:
    return BridgeError(f"{url} took longer than {seconds:g} seconds; allow more with --model.seconds")


def _save(stream: HTTPResponse, file: Path, until: float, url: str) -> None:
    """Copy a reply of bounded size, in bounded time."""
    size = 0
    with file.open("wb") as out:
        while piece := stream.read1(STEP):
            size += len(piece)
            if size > LARGEST_REPLY:
                raise BridgeError(
                    f"{url} answered with more than {LARGEST_REPLY >> 20:,} MiB; make smaller frames"
                )
            if time.monotonic() > until:
                raise TimeoutError
            out.write(piece)
            if shutil.disk_usage(file.parent).free < STEP:
                raise BridgeError(f"no space left on the disk of {file.parent} for the answer of {url}")


def _is_this_machine(host: str) -> bool:
    """Whether no proxy lies between: a loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
