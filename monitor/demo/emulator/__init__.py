"""An AWS emulator for the demo and for tests: moto in a process of its own, behind one door.

The door (`door.py`) takes one request at a time, because moto's handlers race; it adds faults, quotas and a request
log, and lets the service modules (`sqs.py`, `stepfunctions.py`, ...) answer or mend what moto lacks or gets wrong.
`control.py` is the operator's side door under `/_emulator/`. Start it with `python -m monitor.demo.emulator`, or
from Python with `monitor.demo.emulator.child.start()`.

Two kinds of extension: an operation that moto has is mended on moto's backend (so every protocol sees it); one that
it lacks is answered at the door in the service's own protocol.
"""
