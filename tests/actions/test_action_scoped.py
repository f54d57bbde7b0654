"""set_log_retention, tier_bucket, cut_sources: what is touched, and nothing besides."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import pytest

from monitor.actions.cut_sources import ACTION as CUT
from monitor.actions.set_log_retention import ACTION as RETENTION
from monitor.actions.tier_bucket import ACTION as TIER
from monitor.plugin import ActionError, ProbeError, Reason, Resource, ResourceKind
from monitor.testing import EPOCH, assert_action_conforms, run_action


class Logs:
    """Log groups and their days."""

    def __init__(self, **days):
        self.days = {name.replace("__", "/"): value for name, value in days.items()}

    @property
    def replies(self):
        return {
            "logs.DescribeLogGroups": self.describe,
            "logs.PutRetentionPolicy": self.put,
            "logs.DeleteRetentionPolicy": lambda logGroupName: self.put(logGroupName, None),
        }

    def put(self, logGroupName, retentionInDays):
        self.days[logGroupName] = retentionInDays
        return {}

    def describe(self, logGroupNamePrefix):
        return [
            {"logGroups": [{"logGroupName": name} | ({"retentionInDays": days} if days else {})]}
            for name, days in self.days.items()
            if name.startswith(logGroupNamePrefix)
        ] or {}


@pytest.mark.parametrize("days", [30, None], ids=["30 days", "for ever"])
async def test_retention_comes_back_also_where_there_was_none(fake, days):
    """The policy is removed again where events never expired."""
    await assert_action_conforms(
        RETENTION, {"log_group": "a", "days": 7}, lambda: fake(Logs(a=days, ab=3).replies, action=RETENTION)
    )


async def test_a_prefix_means_one_change_per_group_and_never_too_many(fake):
    """Each group has a claim of its own; above the cap nothing is touched."""
    logs = Logs(__aws__lambda__etl_a=30, __aws__lambda__etl_b=None, __aws__lambda__other=30)
    aws = fake(logs.replies, action=RETENTION)
    params = RETENTION.params(prefix="/aws/lambda/etl_", days=7)
    changes = await RETENTION.expand(params, EPOCH, aws)
    assert [change.resource for change in changes] == ["logs//aws/lambda/etl_a", "logs//aws/lambda/etl_b"]
    assert all(change.property == "retention_days" for change in changes)
    with pytest.raises(ActionError, match="more than max_groups"):
        await RETENTION.expand(RETENTION.params(prefix="/aws/lambda/etl_", days=7, max_groups=1), EPOCH, aws)
    assert aws.mutations == []


@pytest.mark.parametrize(
    "params", [{"days": 7}, {"prefix": "/a", "days": 7}, {"prefix": "///", "days": 7}, {"log_group": "a", "days": 8}]
)
def test_every_group_is_nobodys_wish(params):
    """A selector, and days that CloudWatch Logs knows, are required (the runbook's loop over all groups is refused)."""
    with pytest.raises(ValueError, match=r"say which|longer|at least 3|one of these days"):
        RETENTION.params(**params)


class Bucket:
    """Lifecycle rules, replaced as a whole."""

    def __init__(self, *rules):
        self.rules, self.minimum = list(rules), "varies_by_storage_class"

    @property
    def replies(self):
        return {
            "s3.GetBucketLifecycleConfiguration": self.get,
            "s3.PutBucketLifecycleConfiguration": self.put,
            "s3.DeleteBucketLifecycle": lambda Bucket: (self.rules.clear(), {})[1],
        }

    def get(self, Bucket):
        if not self.rules:
            return ProbeError(Reason.NOT_FOUND, "The lifecycle configuration does not exist")
        return {"Rules": [dict(rule) for rule in self.rules], "TransitionDefaultMinimumObjectSize": self.minimum}

    def put(self, Bucket, LifecycleConfiguration, **more):
        self.rules = LifecycleConfiguration["Rules"]
        self.minimum = more.get("TransitionDefaultMinimumObjectSize", "all_storage_classes_128K")
        return {}


EXPIRE = {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}


@pytest.mark.parametrize("rules", [[], [EXPIRE]], ids=["no rules", "another rule"])
async def test_our_rule_is_merged_in_and_exactly_it_goes(fake, rules):
    """Other rules and the minimum size stay as they are, throughout."""
    bucket = Bucket(*rules)
    run = await run_action(TIER, {"bucket": "etl-processed", "days": 0}, fake(bucket.replies))
    assert bucket.rules[:-1] == rules
    assert bucket.rules[-1]["Transitions"] == [{"Days": 0, "StorageClass": "INTELLIGENT_TIERING"}]
    if rules:
        assert bucket.minimum == "varies_by_storage_class"
    bucket.rules.append({**EXPIRE, "ID": "added meanwhile"})
    await run.undo(TIER)
    assert [rule["ID"] for rule in bucket.rules] == [*(rule["ID"] for rule in rules), "added meanwhile"]
    await assert_action_conforms(TIER, {"bucket": "etl-processed"}, lambda: fake(Bucket(*rules).replies))


async def test_a_missing_bucket_is_no_bucket_without_rules(fake):
    """Only S3's own word for "no rules" is one."""
    gone = ProbeError(Reason.NOT_FOUND, "s3:GetBucketLifecycleConfiguration: The specified bucket does not exist")
    with pytest.raises(ProbeError):
        await run_action(TIER, {"bucket": "gone"}, fake({"s3.GetBucketLifecycleConfiguration": gone}))


def test_an_infrequent_class_needs_thirty_days():
    """S3 refuses it later, with fewer words."""
    with pytest.raises(ValueError, match="30 days"):
        TIER.params(bucket="abc", days=7, storage_class="STANDARD_IA")


def machine(name):
    """A discovered state machine."""
    arn = f"arn:aws:states:us-east-1:123456789012:stateMachine:{name}"
    return Resource(ResourceKind.STATE_MACHINE, name, arn, {"type": "STANDARD"})


RULES = {("default", "sydney"): ["hourly"], ("orders", "sydney:live"): ["on-order"], ("default", "melbourne"): ["m"]}


class Sources:
    """Rules by (bus, target), schedules by target."""

    @property
    def replies(self):
        return {
            "stepfunctions.ListStateMachineAliases": lambda stateMachineArn: {
                "stateMachineAliases": [{"stateMachineAliasArn": f"{stateMachineArn}:live"}]
            },
            "events.ListEventBuses": {"EventBuses": [{"Name": "default"}, {"Name": "orders"}]},
            "events.ListRuleNamesByTarget": lambda TargetArn, EventBusName: {
                "RuleNames": RULES.get((EventBusName, TargetArn.split("stateMachine:jaunt-")[-1]), [])
            },
            "scheduler.ListSchedules": {
                "Schedules": [
                    {"Name": "nightly", "GroupName": "g", "Target": {"Arn": machine("jaunt-sydney").arn}},
                    {"Name": "other", "GroupName": "g", "Target": {"Arn": machine("billing").arn}},
                ]
            },
        }


async def test_everything_that_starts_the_machines_becomes_a_change(fake):
    """Rules on every bus, also on an alias, and schedules; nothing that starts other machines."""
    aws = fake(Sources().replies, action=CUT, resources=[machine("jaunt-sydney"), machine("billing")])
    changes = await CUT.expand(CUT.params(state_machines="*jaunt*"), EPOCH, aws)
    assert {(c.action, c.resource, c.wanted) for c in changes} == {
        ("disable_rule", "events/default/hourly", "DISABLED"),
        ("disable_rule", "events/orders/on-order", "DISABLED"),
        ("set_schedule", "scheduler/g/nightly", "DISABLED"),
    }
    assert aws.mutations == []


async def test_one_city_may_be_left_out_to_be_restored_by_itself(fake):
    """`except` keeps a machine's sources for a step of their own: gradual restart."""
    cities = [machine("jaunt-sydney"), machine("jaunt-melbourne")]
    aws = fake(Sources().replies, action=CUT, resources=cities)
    rest = await CUT.expand(CUT.params.model_validate({"state_machines": "*jaunt*", "except": ["*syd*"]}), EPOCH, aws)
    assert [change.resource for change in rest] == ["events/default/m"]


async def test_a_partial_list_is_no_cut(fake):
    """If one listing fails, the step fails and is tried again."""
    replies = Sources().replies | {"scheduler.ListSchedules": ProbeError(Reason.DENIED, "no")}
    with pytest.raises(ProbeError):
        await CUT.expand(
            CUT.params(state_machines="*jaunt*"), EPOCH, fake(replies, resources=[machine("jaunt-sydney")])
        )
