"""What an author of a check or an action imports; nothing else of `monitor` is needed.

A check is data and one function: `CHECK = Check(...)` around `async def probe(params, ctx)`. It reads, it never
judges, retries, logs above debug or keeps state. An action is data and four functions: `plan`, `capture`, `apply`,
`undo`. It never asks whether it may run: gates do, before it and before each of its mutating calls.
"""

from __future__ import annotations

from monitor.core.change import Change, Receipt
from monitor.core.denials import Denial, denials_in, statement
from monitor.core.fingerprint import Fingerprint, fingerprint
from monitor.core.gaps import Gap, gaps_in, spelled_gaps
from monitor.core.loops import Anything, Edge, Text, could_match, loops_in
from monitor.core.model import Json, Level, Missing, Observation, Reason, Risk
from monitor.core.prices import USAGE, Price
from monitor.core.progress import Progress, progress_of
from monitor.core.spec import Bound, Clear, SignalSpec
from monitor.plugin.action import Action, ActionContext, Registry, TripInfo
from monitor.plugin.check import Check, Signal
from monitor.plugin.errors import ActionError, Held, ProbeError
from monitor.plugin.params import Duration, Params, ResourceKind, Selector, is_glob, target_name
from monitor.plugin.permissions import Permission, discovery, mappings_of, need, qualified
from monitor.plugin.reading import (
    MetricQuery,
    MetricSeries,
    OperationUse,
    OperationValidator,
    Past,
    ProbeContext,
    Reads,
    Resource,
    Writes,
)

__all__ = [
    "USAGE",
    "Action",
    "ActionContext",
    "ActionError",
    "Anything",
    "Bound",
    "Change",
    "Check",
    "Clear",
    "Denial",
    "Duration",
    "Edge",
    "Fingerprint",
    "Gap",
    "Held",
    "Json",
    "Level",
    "MetricQuery",
    "MetricSeries",
    "Missing",
    "Observation",
    "OperationUse",
    "OperationValidator",
    "Params",
    "Past",
    "Permission",
    "Price",
    "ProbeContext",
    "ProbeError",
    "Progress",
    "Reads",
    "Reason",
    "Receipt",
    "Registry",
    "Resource",
    "ResourceKind",
    "Risk",
    "Selector",
    "Signal",
    "SignalSpec",
    "Text",
    "TripInfo",
    "Writes",
    "could_match",
    "denials_in",
    "discovery",
    "fingerprint",
    "gaps_in",
    "is_glob",
    "loops_in",
    "mappings_of",
    "need",
    "progress_of",
    "qualified",
    "spelled_gaps",
    "statement",
    "target_name",
]  # fmt: skip
