"""Drafting pipeline files from what an account holds: survey, group, measure, propose, write.

    reads -> survey (things and links) -> groups -> ranges (history) -> checks and breakers -> YAML with comments

Belongs here: which resources are read and which IAM action each read needs, how they are grouped and named, how a bound
follows from the past, and the words of the comments. Does not belong here: any mutating call, the meaning of kinds and
actions (their own rooms), validation (the config room, by way of the command), files and terminals (the command).
"""

from monitor.starter.draft import Draft, Drafts, Wishes, draft
from monitor.starter.inventory import Gap, Inventory, Kind, Left, Link, Thing
from monitor.starter.survey import survey

__all__ = ["Draft", "Drafts", "Gap", "Inventory", "Kind", "Left", "Link", "Thing", "Wishes", "draft", "survey"]
