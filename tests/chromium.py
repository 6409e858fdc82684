"""A headless Chromium that tests open pages in, spoken to in the DevTools protocol."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

START_S = 60
"""How long a cold start may take on a busy machine; usually 2 seconds."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--use-angle=swiftshader",  # WebGL on the CPU
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
)


@dataclass
class Page:
    """One tab."""

    socket: Any
    session: str
    requests: list[str] = field(default_factory=list)
    """Addresses asked for, beyond `data:` and `blob:`; the page itself first."""
    console: list[str] = field(default_factory=list)
    """Messages of the page; uncaught errors begin with "error: "."""
    _sent: int = 0

    def call(self, method: str, timeout_s: float = 60, **params: Any) -> dict[str, Any]:
        """One DevTools command and its result."""
        self._sent += 1
        number = self._sent
        message = {"id": number, "method": method, "params": params}
        self.socket.send(json.dumps(message | ({"sessionId": self.session} if self.session else {})))
        end = time.monotonic() + timeout_s
        while True:
            answer = json.loads(self.socket.recv(timeout=max(0.01, end - time.monotonic())))
            self._note(answer)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def run(self, script: str, timeout_s: float = 60) -> Any:
        """The value of an expression in the page; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", timeout_s, expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def wait_for(self, condition: str, timeout_s: float) -> None:
        """Wait until an expression is true in the page; one that fails is not true yet."""
        end = time.monotonic() + timeout_s
        tried = f"(() => {{ try {{ return Boolean({condition}) }} catch {{ return false }} }})()"
        while not self.run(tried):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition} is not true after {timeout_s:g} s; console: {self.console}")
            time.sleep(0.1)

    def press(self, key: str, code: str, number: int) -> None:
        """Press and release a key; `number` is its Windows virtual key code."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number)

    def click(self, x: float, y: float) -> None:
        """The left mouse button, at a pixel of the page."""
        at = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.call("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def picture(self) -> Float[Tensor, "h w 3"]:
        """What the page shows, sRGB in [0, 1]."""
        shot = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return torch.from_numpy(np.array(Image.open(BytesIO(shot)).convert("RGB"))).float() / 255

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                address = params["request"]["url"]
                if not address.startswith(("data:", "blob:")):
                    self.requests.append(address)
            case "Runtime.consoleAPICalled":
                self.console.append(" ".join(str(part.get("value", part)) for part in params["args"]))
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.console.append(f"error: {details.get('exception', {}).get('description', details)}")


@dataclass
class Chromium:
    """A running browser."""

    address: str

    @contextmanager
    def open(
        self, page: Path | str, *, query: str = "", width: int = 640, height: int = 480
    ) -> Iterator[Page]:
        """A page in a tab of its own: a file, or an address."""
        from websockets.sync.client import connect

        with connect(self.address, max_size=None, open_timeout=START_S, ping_interval=None) as socket:
            browser = Page(socket, "")
            target = browser.call("Target.createTarget", url="about:blank")["targetId"]
            session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            tab = Page(socket, session)
            for domain in ("Page", "Runtime", "Network"):
                tab.call(f"{domain}.enable")
            tab.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=False,
            )
            tab.call(
                "Page.navigate", url=(page if isinstance(page, str) else page.resolve().as_uri()) + query
            )
            yield tab
            browser.call("Target.closeTarget", targetId=target)


@contextmanager
def chromium(*flags: str) -> Iterator[Chromium]:
    """Start Chromium with a fresh profile and more `flags`; the test is skipped where there is none."""
    pytest.importorskip("websockets", reason="needs websockets to speak to Chromium")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            # Chromium writes the port that it chose, then the path of its socket
            announced = Path(profile) / "DevToolsActivePort"
            end = time.monotonic() + START_S
            while not (announced.is_file() and announced.read_text().count("\n")):
                if process.poll() is not None or time.monotonic() > end:
                    pytest.skip(f"Chromium does not start here (exit code {process.returncode})")
                time.sleep(0.05)
            port, path = announced.read_text().splitlines()[:2]
            yield Chromium(f"ws://127.0.0.1:{port}{path}")
        finally:
            process.terminate()
            process.wait(timeout=START_S)
