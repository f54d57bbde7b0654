"""A check: data and one function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from monitor.core.model import Missing, Observation
from monitor.core.spec import SignalSpec
from monitor.plugin.params import Params, ResourceKind, Selector, target_name
from monitor.plugin.permissions import Permission
from monitor.plugin.reading import OperationUse, Past, ProbeContext

P = TypeVar("P", bound=Params)
P_contra = TypeVar("P_contra", bound=Params, contravariant=True)


@dataclass(frozen=True, slots=True)
class Signal:
    """A number a kind reports per target. `missing` is its default for an absent point.

    `window` is how far a value looks back (a trailing count): a span, or the name of the parameter that holds it.
    After a breaker closes only values whose window began later are judged.
    """

    name: str
    unit: str
    help: str
    missing: Missing = Missing.UNKNOWN
    window: timedelta | str = timedelta(0)


@dataclass(frozen=True, slots=True)
class Check(Generic[P]):
    """A kind: data and one function.

    `permissions` are all IAM actions its probe may need, `needs(params)` those of one configuration and on which
    resources (without it: all of them, on any). `targets(params)` names the targets known from config (empty
    when discovered); `cost` says in words what one run costs.
    """

    kind: str
    summary: str
    params: type[P]
    probe: Callable[[P, ProbeContext], Awaitable[Sequence[Observation]]]
    signals: tuple[Signal, ...]
    defaults: Mapping[str, SignalSpec]
    permissions: tuple[str, ...]
    cost: str
    example: str
    target_kind: ResourceKind | None = None
    selectors: tuple[str, ...] = ()  # the params fields that are Selectors
    interval: timedelta = timedelta(seconds=60)
    operations: Callable[[P], Sequence[OperationUse]] | None = None
    #: True where the targets are found in what is read (groups of log lines): one that is not seen again is gone.
    roaming: Callable[[P], bool] | None = None
    needs: Callable[[P], Sequence[Permission]] | None = None
    #: For a probe that reads the present state: which metrics tell what that was. Only the backtest asks, once; `ctx`
    #: is the present. Signals it leaves out can't be replayed. Without it, or where it answers nothing, the probe runs
    #: on the metrics of the past.
    history: Callable[[P, ProbeContext], Awaitable[Sequence[Past]]] | None = None

    def discovers(self, params: P) -> bool:
        """True if the targets are known only once AWS was asked: by a glob or tag, or because they roam."""
        roams = self.roaming is not None and self.roaming(params)
        return roams or any(s.discovers for s in self._selected(params))

    def targets(self, params: P) -> tuple[str, ...]:
        """Short names known from config, in order, without duplicates."""
        names = (target_name(name) for s in self._selected(params) for name in s.explicit)
        return tuple(dict.fromkeys(names))

    def absences(self, params: P) -> Mapping[str, Missing]:
        """What an absent point means by default where that depends on the parameters, by signal."""
        return {}

    def windows(self, params: P) -> dict[str, timedelta]:
        """How far each signal looks back."""
        return {s.name: getattr(params, s.window) if isinstance(s.window, str) else s.window for s in self.signals}

    def _selected(self, params: P) -> list[Selector]:
        values = (getattr(params, name, None) for name in self.selectors)
        return [value for value in values if isinstance(value, Selector)]
