"""Counting what a command asks of AWS, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.core.model import Reason


@dataclass(slots=True)
class Tally:
    """An AwsMeter (core.ports) for one command: HTTP attempts and list-price dollars."""

    calls: int = 0
    dollars: float = 0.0

    def aws_request(
        self, aws_service: str, operation: str, account_id: str, aws_region: str, reason: Reason | None
    ) -> None:
        """One attempt ended."""
        self.calls += 1

    def aws_metrics_requested(self, count: int) -> None:
        """Their price comes through aws_cost."""

    def aws_cost(self, aws_service: str, dollars: float) -> None:
        """What a request cost."""
        self.dollars += dollars

    def aws_quota(self, aws_service: str, operation: str, account_id: str, aws_region: str, ratio: float) -> None:
        """Not told: a single round stays far below."""

    def aws_up(self, aws_service: str, account_id: str, aws_region: str, up: bool) -> None:
        """Not told: a failure is a gap of its own."""
