"""The embedded AWS emulator, a small world built in it, and incidents that happen there.

Here: what `tripswitch demo` and the scenario tests run. Not here: anything the daemon needs in production.
"""
