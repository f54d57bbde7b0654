"""asyncio: what runs, when, and what happens to its outcome.

Here: the task tree, the scheduler, the runner, the board of levels, the workers that drive breakers, gates, reload
and ownership. Not here: judgement (`core`), AWS, storage, HTTP (injected), words for people beyond log events.
"""
