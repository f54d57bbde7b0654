"""The backtest: history through the real configuration, on virtual time.

Belongs here: where the past comes from (CloudWatch, recorded samples, Prometheus), the replay, its scores, the sweep
over thresholds, and their pictures. Does not: any judging or any state machine. Those are `core` and `engine`, which
this room drives: it stands above the engine in the import layers and below the composition root, which hands it AWS
reads and the registry. Nothing below knows of it, and it changes nothing anywhere: actions are planned, never applied.
"""
