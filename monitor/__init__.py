"""tripswitch: watches AWS data pipelines and contains their incidents.

The rooms, from the outside in: `cli` (commands), `app` (composition root), `engine` (asyncio: schedule, run, decide,
act), `aws`, `store`, `telemetry`, `web`, `config` (one adapter each), `plugin` (what an author of a check or an action
imports) and `core` (pure decisions; the clock is an argument).
"""

__version__ = "0.1.0"
