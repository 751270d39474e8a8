"""A real browser: Chromium without a window, driven through its pipe."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from types import TracebackType
from typing import Any

from tests.live import wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """Started when entered, ended when left; shows one page at a time."""

    def __enter__(self) -> Browser:
        self._folder = tempfile.mkdtemp(prefix="lst-browser-")
        there, self._out = os.pipe()
        self._in, back = os.pipe()
        options = f"--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir={self._folder}"
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {CHROMIUM} {options} --remote-debugging-pipe about:blank 3<&{there} 4>&{back}"],
            pass_fds=(there, back),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(there)
        os.close(back)
        self._received = b""
        self._number = 0
        self._session = ""
        [page] = [one for one in self._ask("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        self._session = self._ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, url: str) -> None:
        """Load a page, and wait until its script has run."""
        self._ask("Page.navigate", url=url)
        wait_until(lambda: self.run("document.readyState === 'complete' && !!document.forms.length"), f"{url} is there")

    def type_into(self, field: str, text: str) -> None:
        """Type as a person would: into the field with this label."""
        label = f"[...document.querySelectorAll('label')].find((one) => one.textContent.trim() === {json.dumps(field)})"
        self.run(f"{label}.control.focus()")
        self._ask("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click on what the selector finds."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def run(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        wish: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            wish["sessionId"] = self._session
        os.write(self._out, json.dumps(wish).encode() + b"\0")
        while True:
            message = self._next_message()
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def _next_message(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            chunk = os.read(self._in, 65536)
            assert chunk, "the browser has ended"
            self._received += chunk
        line, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message
