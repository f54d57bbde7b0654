"""What rules of `config_drift` have in common: a rule looks at resources and says what is wrong with each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from checks.reading import N, each
from monitor.plugin import (
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Selector,
    target_name,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of one target: each text names the fault and the fix. `error`: it could not be looked at."""

    target: str
    wrong: tuple[str, ...] = ()
    error: ProbeError | None = None


class Rule(Params):
    """A built-in rule. Its findings are complete: one per resource, also where nothing is wrong."""

    @abstractmethod
    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """Look at every selected resource. Raises ProbeError only if they can't even be named."""

    @abstractmethod
    def needs(self) -> list[Permission]:
        """For IAM: what looking asks."""

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """The selectors among its parameters."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return tuple(value for value in values if isinstance(value, Selector))

    @property
    def targets(self) -> tuple[str, ...]:
        """What is known from config of whom it looks at."""
        return tuple(target_name(name) for selector in self.selectors for name in selector.explicit)

    @property
    def discovers(self) -> bool:
        """Whether AWS must be asked for some of them."""
        return any(selector.discovers for selector in self.selectors)


async def look_at(resources: Sequence[N], look: Callable[[N], Awaitable[Sequence[str]]]) -> list[Finding]:
    """A finding per resource, several at a time; one that can't be read is a finding too."""
    found: dict[str, Finding] = {}

    async def one(resource: N) -> list[Observation]:
        try:
            found[resource.name] = Finding(resource.name, tuple(await look(resource)))
        except ProbeError as error:
            found[resource.name] = Finding(resource.name, error=error)
        return []

    await each(resources, one, ())
    return [found[resource.name] for resource in resources]


def spelled(seconds: float) -> str:
    """`1800s` for people: `30m`."""
    whole = round(seconds)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def seconds_of(span: timedelta) -> int:
    """Whole seconds, as AWS counts them."""
    return int(span.total_seconds())
