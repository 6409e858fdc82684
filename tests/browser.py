"""A real browser without a window: pages are opened in headless Chromium and photographed."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may run as root
    "--use-angle=swiftshader",  # WebGL 2 without a graphics card
    "--enable-unsafe-swiftshader",
    "--hide-scrollbars",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
START_S, ANSWER_S = 60, 120
"""Seconds for the browser to start and for one answer; a software-rendered page on a busy machine is slow."""


def find_chromium() -> str:
    """The program; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs Chromium to open a page (apt-get install chromium)")
    return found


@dataclass
class Page:
    """One open page, spoken to by the Chrome DevTools protocol."""

    socket: ClientConnection
    events: list[dict] = field(default_factory=list)
    """What the browser reported while an answer was waited for."""
    asked: int = 0

    def ask(self, method: str, **params: Any) -> dict:
        """One command and its result."""
        self.asked += 1
        self.socket.send(json.dumps({"id": self.asked, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv(timeout=ANSWER_S))
            if answer.get("id") == self.asked:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str, timeout_s: float = ANSWER_S) -> None:
        """Until a JavaScript expression is true."""
        end = time.monotonic() + timeout_s
        while not self.evaluate(script):
            assert time.monotonic() < end, f"not true after {timeout_s:g} s: {script}"
            time.sleep(0.2)

    def screenshot(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def click(self, x: float, y: float) -> None:
        """The left mouse button, at a pixel of the window."""
        at = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.ask("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.ask("Input.dispatchMouseEvent", type="mouseReleased", **at)

    @property
    def requests(self) -> list[str]:
        """Addresses that the page has asked for, data: and blob: left out."""
        sent = [
            e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith(("data:", "blob:"))]

    @property
    def errors(self) -> list[str]:
        """Exceptions nobody caught and errors on the console."""
        thrown = [
            str(e["params"]["exceptionDetails"])
            for e in self.events
            if e["method"] == "Runtime.exceptionThrown"
        ]
        logged = [
            str(e["params"]["args"])
            for e in self.events
            if e["method"] == "Runtime.consoleAPICalled" and e["params"]["type"] == "error"
        ]
        return thrown + logged


@contextmanager
def open_page(url: str, *, width: int = 640, height: int = 480) -> Iterator[Page]:
    """A page in a browser of its own, in a window of this size.

    Example:
        >>> with open_page("file:///tmp/scene.html") as page:
        ...     png = page.screenshot()
    """
    chromium = find_chromium()
    folder = Path(tempfile.mkdtemp(prefix="chromium-"))
    command = [
        chromium,
        *FLAGS,
        f"--user-data-dir={folder}",
        f"--window-size={width},{height}",
        "about:blank",
    ]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(_first_tab(folder), max_size=None, ping_interval=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Network"):
                page.ask(f"{domain}.enable")
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            page.ask("Emulation.setDeviceMetricsOverride", **size)
            page.ask("Page.navigate", url=url)
            yield page
    finally:
        browser.terminate()
        browser.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _first_tab(folder: Path) -> str:
    """The address of the page's socket, once the browser is up."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            port = (folder / "DevToolsActivePort").read_text().split("\n")[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10) as answer:
                tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
            if tabs:
                return tabs[0]["webSocketDebuggerUrl"]
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"Chromium did not start within {START_S} s")
