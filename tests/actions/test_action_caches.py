"""set_api_cache, set_resolver_cache, set_stage_cache."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import pytest

from monitor.actions.set_api_cache import ACTION as API
from monitor.actions.set_resolver_cache import ACTION as RESOLVER
from monitor.actions.set_stage_cache import ACTION as STAGE
from monitor.plugin import ActionError, ProbeError, Reason
from monitor.testing import assert_action_conforms, run_action

KEPT = {"ttl": 60, "apiCachingBehavior": "PER_RESOLVER_CACHING", "type": "MEDIUM", "status": "AVAILABLE"}


class AppSync:
    """One API whose cache comes and goes in three reads."""

    def __init__(self, cache=None, ending="AVAILABLE"):
        self.cache, self.moving, self.ending = dict(cache) if cache else None, 0, ending

    @property
    def replies(self):
        return {
            "appsync.GetApiCache": self.get,
            "appsync.CreateApiCache": lambda apiId, **new: self.put("CREATING", new),
            "appsync.UpdateApiCache": lambda apiId, **new: self.put("MODIFYING", new),
            "appsync.DeleteApiCache": lambda apiId: self.put("DELETING", {}),
        }

    def put(self, status, new):
        self.cache, self.moving = {**(self.cache or {}), **new, "status": status}, 3
        return {}

    def get(self, apiId):
        if self.moving:
            self.moving -= 1
        elif self.cache and self.cache["status"] == "DELETING":
            self.cache = None
        elif self.cache:
            self.cache["status"] = self.ending
        return {"apiCache": dict(self.cache)} if self.cache else ProbeError(Reason.NOT_FOUND, "no cache")


@pytest.mark.parametrize("cache", [None, KEPT], ids=["none", "another"])
async def test_an_api_cache_is_made_or_changed_and_taken_back(fake, cache):
    """Deleted where there was none, restored where there was one."""
    await assert_action_conforms(API, {"api": "a"}, lambda: fake(AppSync(cache).replies, action=API))


async def test_a_cache_counts_once_it_is_available(fake):
    """While it is being created it is waited for; one that failed is an error, not an effect."""
    aws = fake(AppSync().replies, action=API)
    run = await run_action(API, {"api": "a"}, aws)
    assert [call.name for call in aws.mutations] == ["appsync.CreateApiCache"]
    assert run.receipt.applied == {"ttl": 3600, "behavior": "FULL_REQUEST_CACHING", "size": "SMALL"}
    with pytest.raises(ActionError, match="failed"):
        await run_action(API, {"api": "a"}, fake(AppSync(ending="FAILED").replies, action=API))


async def test_a_cache_that_is_going_is_none(fake):
    """Its deletion is waited out before a new one is made."""
    appsync = AppSync({**KEPT, "status": "DELETING"})
    appsync.moving = 3
    run = await run_action(API, {"api": "a"}, fake(appsync.replies, action=API))
    assert (run.prior, run.receipt.changed) == (None, True)


class Resolver:
    """UpdateResolver replaces everything."""

    def __init__(self, **more):
        self.now = {
            "typeName": "Query", "fieldName": "readings", "resolverArn": "arn:r", "dataSourceName": "table",
            "kind": "UNIT", "requestMappingTemplate": "{}", "maxBatchSize": 0, **more,
        }  # fmt: skip

    @property
    def replies(self):
        return {"appsync.GetResolver": lambda **p: {"resolver": self.now}, "appsync.UpdateResolver": self.update}

    def update(self, apiId, **fields):
        self.now = {"resolverArn": "arn:r", **fields}
        return {}


@pytest.mark.parametrize("caching", [None, {"ttl": 10, "cachingKeys": ["$context.source.id"]}])
async def test_a_resolver_keeps_everything_but_its_caching(fake, caching):
    """Applied, undone: the resolver is what it was, field for field."""
    params = {"api": "a", "field": "readings", "ttl": 1800, "keys": ["$context.arguments.suburb"]}
    resolver = Resolver(**({"cachingConfig": caching} if caching else {}))
    before = dict(resolver.now)
    run = await run_action(RESOLVER, params, fake(resolver.replies, action=RESOLVER))
    assert resolver.now == {**before, "cachingConfig": {"ttl": 1800, "cachingKeys": ["$context.arguments.suburb"]}}
    await run.undo(RESOLVER)
    assert resolver.now == before


async def test_a_caching_key_begins_with_a_known_word():
    """AppSync refuses others late; the file is told early."""
    with pytest.raises(ValueError, match="begins with"):
        RESOLVER.params(api="a", field="f", keys=["suburb"])


class Stage:
    """Patches as API Gateway applies them."""

    def __init__(self, *, size=None, every=None, busy=0):
        self.now = {"cacheClusterEnabled": size is not None, "cacheClusterSize": size, "methodSettings": {}}
        if every is not None:
            self.now["methodSettings"]["*/*"] = dict(every)
        self.busy = busy

    @property
    def replies(self):
        return {"apigateway.GetStage": self.get, "apigateway.UpdateStage": self.update}

    def get(self, **params):
        self.busy = max(0, self.busy - 1)
        return {**self.now, "cacheClusterStatus": "CREATE_IN_PROGRESS" if self.busy else "AVAILABLE"}

    def update(self, restApiId, stageName, patchOperations):
        assert not self.busy, "API Gateway refuses changes meanwhile"
        every = self.now["methodSettings"]
        for patch in patchOperations:
            path, value = patch["path"], patch.get("value")
            if path == "/cacheClusterEnabled":
                self.now["cacheClusterEnabled"] = value == "true"
            elif path == "/cacheClusterSize":
                self.now["cacheClusterSize"] = value
            elif patch["op"] == "remove":
                every.pop("*/*")
            else:
                settings = every.setdefault("*/*", {"cachingEnabled": False, "cacheTtlInSeconds": 300})
                if path.endswith("enabled"):
                    settings["cachingEnabled"] = value == "true"
                else:
                    settings["cacheTtlInSeconds"] = int(value)
        return {}


STAGES = {
    "off": {},
    "off with settings": {"every": {"cachingEnabled": False, "cacheTtlInSeconds": 5}},
    "on": {"size": "1.6", "every": {"cachingEnabled": True, "cacheTtlInSeconds": 10}},
    "busy": {"busy": 6},
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
async def test_a_stage_gets_its_cache_and_its_settings_back(fake, stage):
    """Cluster, size and stage-wide settings are exactly what they were, also "none"."""
    await assert_action_conforms(STAGE, {"api": "a", "stage": "prod", "ttl": 60}, lambda: fake(Stage(**stage).replies))
