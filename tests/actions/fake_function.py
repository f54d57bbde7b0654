"""A Lambda function as AWS keeps it: $LATEST, published versions, aliases, revisions."""
# ruff: noqa: N803 - AWS's own parameter names

from monitor.plugin import ActionError, ProbeError, Reason


class Function:
    """`slow`: reads until an update is done. `race`: run once before the next guarded call (somebody else's edit)."""

    def __init__(self, variables=None, *, memory=1024, slow=0, code="c1"):
        self.latest = {
            "FunctionName": "api",
            "CodeSha256": code,
            "MemorySize": memory,
            "Timeout": 30,
            "State": "Active",
        }
        if variables is not None:
            self.latest["Environment"] = {"Variables": dict(variables)}
        self.versions, self.aliases = {}, {}
        self.revision, self.slow, self.pending, self.race, self.fail_at = 1, slow, 0, None, None
        self.updates = []

    def release(self, alias="LIVE", **changes):
        """Somebody deploys: change, publish, move."""
        self.latest = {**self.latest, **changes}
        self.revision += 1
        self.versions[str(len(self.versions) + 1)] = dict(self.latest)
        self.aliases[alias] = {"FunctionVersion": str(len(self.versions)), "weights": {}, "revision": self.revision}
        return self

    @property
    def replies(self):
        return {
            "lambda.GetFunctionConfiguration": self.get,
            "lambda.UpdateFunctionConfiguration": self.update,
            "lambda.PublishVersion": self.publish,
            "lambda.GetAlias": self.alias,
            "lambda.UpdateAlias": self.move,
            "lambda.ListVersionsByFunction": self.list,
        }

    def get(self, *, FunctionName, Qualifier=None):
        if Qualifier is not None:
            return self.versions[Qualifier]
        busy, self.pending = self.pending > 0, max(0, self.pending - 1)
        return {
            **self.latest, "RevisionId": str(self.revision),
            "LastUpdateStatus": "InProgress" if busy else "Successful",
        }  # fmt: skip

    def _guard(self, step, revision, live):
        if self.race is not None:
            race, self.race = self.race, None
            race()
            live = str(self.revision)
        if self.fail_at == step:
            self.fail_at = None
            raise ActionError(Reason.UNAVAILABLE, "AWS answered HTTP 500")
        if revision is not None and revision != live:
            raise ActionError(Reason.INVALID, f"lambda:{step}: PreconditionFailedException: stale")

    def update(self, *, FunctionName, RevisionId=None, **changes):
        self._guard("update", RevisionId, str(self.revision))
        self.latest = {**self.latest, **changes}
        self.updates.append(changes)
        self.revision, self.pending = self.revision + 1, self.slow
        return {}

    def publish(self, *, FunctionName, CodeSha256, Description, RevisionId=None):
        self._guard("publish", RevisionId, str(self.revision))
        assert CodeSha256 == self.latest["CodeSha256"]
        if self.versions and {**self.versions[str(len(self.versions))], "Description": ""} == {
            **self.latest,
            "Description": "",
        }:
            return {"Version": str(len(self.versions))}
        self.versions[str(len(self.versions) + 1)] = {**self.latest, "Description": Description}
        return {"Version": str(len(self.versions))}

    def alias(self, *, FunctionName, Name):
        if Name not in self.aliases:
            raise ProbeError(Reason.NOT_FOUND, f"no alias {Name}")
        row = self.aliases[Name]
        return {
            "FunctionVersion": row["FunctionVersion"], "RevisionId": str(row["revision"]),
            "RoutingConfig": {"AdditionalVersionWeights": row["weights"]},
        }  # fmt: skip

    def move(self, *, FunctionName, Name, FunctionVersion, RoutingConfig, RevisionId=None):
        self._guard("move", RevisionId, str(self.aliases[Name]["revision"]))
        self.revision += 1
        weights = dict(RoutingConfig["AdditionalVersionWeights"])
        self.aliases[Name] = {"FunctionVersion": FunctionVersion, "weights": weights, "revision": self.revision}
        return {}

    def list(self, *, FunctionName):
        rows = [{**config, "Version": number} for number, config in self.versions.items()]
        return [{"Versions": [{**self.latest, "Version": "$LATEST"}, *rows[:1]]}, {"Versions": rows[1:]}]

    def served(self, alias="LIVE"):
        """The configuration callers of the alias get (its main version)."""
        return self.versions[self.aliases[alias]["FunctionVersion"]]
