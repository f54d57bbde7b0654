"""How a read or an action fails: with a reason from the closed list. What is held did not fail."""

from __future__ import annotations

from monitor.core.model import Reason


class ProbeError(Exception):
    """A read that failed, with its reason from the closed list. The runner turns it into `unknown`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ActionError(Exception):
    """A mutating call that failed (or whose effect could not be read back)."""

    def __init__(self, reason: Reason, detail: str, *, ambiguous: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        #: The call may or may not have had its effect (a timeout after sending).
        self.ambiguous = ambiguous


class Held(Exception):
    """A gate closed while an action ran. Not a failure: the step is resumed when the gate permits again."""

    def __init__(self, gate: str, reason: str) -> None:
        super().__init__(f"held by {gate}: {reason}")
        self.gate = gate
        self.reason = reason
