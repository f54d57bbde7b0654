"""Pure decisions: models, thresholds, breakers, playbooks, incidents, silences.

Here: standard library only, no I/O, no clock, no logging; `now` (aware UTC) is an argument. Not here: anything that
awaits, reads the environment, or knows AWS.
"""
