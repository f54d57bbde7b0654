"""Pipeline files: read with positions, checked whole, turned into the plain values of `monitor.core.spec`.

Belongs here: the file's grammar, its messages, its JSON Schema. Does not: reading the environment (it is given),
resolving secrets, asking AWS, knowing any particular kind or action (the registry is given).
"""

from monitor.config.loader import Loaded, load
from monitor.config.problems import ConfigError, Problem
from monitor.config.schema import json_schema

__all__ = ["ConfigError", "Loaded", "Problem", "json_schema", "load"]
