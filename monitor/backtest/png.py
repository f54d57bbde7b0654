"""The report as a PNG, drawn by headless Chromium where there is one: no drawing library comes along for this."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 60
WIDTH = 1200


class NoBrowser(Exception):
    """No PNG can be made here; the text says what to do."""


def browser() -> str | None:
    """A Chromium on the path."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def draw(page: str, to: Path, height: int) -> None:
    """Write the PNG of a page of about `height` pixels. Raises NoBrowser, OSError."""
    found = browser()
    if found is None:
        raise NoBrowser("a PNG is drawn by Chromium, and there is none on the PATH: install it, or write FILE.html")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "report.html")
        source.write_text(page, encoding="utf-8")
        command = [
            found, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-extensions",
            "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile",
            f"--window-size={WIDTH},{height}", f"--screenshot={to.resolve()}", source.as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603 (fixed words)
        except subprocess.TimeoutExpired as error:
            raise NoBrowser(f"{found} did not end within {SECONDS}s: write FILE.html instead") from error
    if done.returncode != 0 or not to.exists():
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise NoBrowser(f"{found} drew nothing ({''.join(words)}): write FILE.html instead")
