"""The demo's main piece, whole: minutes of real time, so it stands alone."""

import io
import re

import pytest

from monitor.demo.show import run_demo

pytestmark = pytest.mark.process


async def test_event_loop_is_cut_drained_verified_and_restored():
    """Every stage is proven in the emulator, in order, and the rule is cut within 15 s of the detection's threshold."""
    out = io.StringIO()
    assert await run_demo("event-loop", tty=False, out=out) == 0, out.getvalue()
    times = {name: float(at) for at, name in re.findall(r"^\+\s*([\d.]+)s  ([A-Z]+) ", out.getvalue(), re.MULTILINE)}
    assert list(times) == ["DETECTED", "CUT", "DRAINED", "VERIFIED", "RESTORED"]
    assert times["CUT"] - times["DETECTED"] < 15
    assert "corrected the pattern" in out.getvalue()
