"""put_policy."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import json
from urllib.parse import quote

import pytest

from monitor.actions.put_policy import ACTION
from monitor.plugin import ActionError, ProbeError, Reason
from monitor.testing import FakeActionContext, assert_action_conforms, run_action

GOOD = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}
OLD = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
BAD = {"Version": "2012-10-17", "Statement": []}
ROLE, BUCKET = {"role": "ingest", "policy": "write-raw"}, {"bucket": "raw-data"}


class Account:
    """One policy, of a role or of a bucket. `encoded`: as IAM writes it on the wire."""

    def __init__(self, policy=None, *, encoded=False):
        self.policy, self.encoded = policy, encoded

    @property
    def replies(self):
        return {
            "iam.GetRolePolicy": lambda RoleName, PolicyName: self.told("PolicyDocument"),
            "iam.PutRolePolicy": lambda RoleName, PolicyName, PolicyDocument: self.put(PolicyDocument),
            "iam.DeleteRolePolicy": lambda RoleName, PolicyName: self.put("null"),
            "s3.GetBucketPolicy": lambda Bucket: self.told("Policy"),
            "s3.PutBucketPolicy": lambda Bucket, Policy: self.put(Policy),
            "s3.DeleteBucketPolicy": lambda Bucket: self.put("null"),
        }

    def told(self, key):
        if self.policy is None:
            return ProbeError(Reason.NOT_FOUND, "NoSuchEntity: there is no such policy")
        text = json.dumps(self.policy)
        return {key: quote(text) if self.encoded else text if key == "Policy" else self.policy}

    def put(self, text):
        self.policy = json.loads(text)
        return {}


@pytest.mark.parametrize("where", [ROLE, BUCKET], ids=["role", "bucket"])
@pytest.mark.parametrize("before", [None, BAD], ids=["none", "another"])
async def test_the_given_policy_is_put_and_taken_back(fake, where, before):
    """Where there was none it is deleted again."""
    await assert_action_conforms(
        ACTION, {**where, "document": GOOD}, lambda: fake(Account(before).replies, action=ACTION)
    )


async def test_the_last_good_one_is_what_was_live_while_all_was_well(fake):
    """The newest that is not the one that is live now."""
    account = Account(BAD, encoded=True)
    aws = fake(account.replies, action=ACTION)
    run = await run_action(ACTION, ROLE, aws, FakeActionContext(aws, good=[BAD, GOOD, OLD]))
    assert account.policy == run.receipt.applied == GOOD
    await run.undo(ACTION)
    assert account.policy == BAD


async def test_without_a_memory_nothing_is_guessed(fake):
    """A sentence that says what to do, and no call that changes anything."""
    aws = fake(Account(BAD).replies)
    with pytest.raises(ActionError, match="give `document`") as caught:
        await run_action(ACTION, ROLE, aws, FakeActionContext(aws, good=[BAD]))
    assert caught.value.reason is Reason.INVALID
    assert aws.mutations == []


async def test_a_refused_read_is_no_absent_policy(fake):
    """Denied is not "there is none": that would be undone by deleting."""
    aws = fake({"iam.GetRolePolicy": ProbeError(Reason.DENIED, "AccessDenied")})
    with pytest.raises(ProbeError, match="AccessDenied"):
        await run_action(ACTION, {**ROLE, "document": GOOD}, aws)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "or `bucket`"),
        ({"role": "r"}, "or `bucket`"),
        ({"policy": "p", "bucket": "raw"}, "or `bucket`"),
        ({**ROLE, **BUCKET}, "or `bucket`"),
        ({**BUCKET, "document": {"Version": "2012-10-17"}}, "the whole policy"),
    ],
)
def test_what_makes_no_sense_is_refused_at_load(params, words):
    """One place, and a whole policy."""
    with pytest.raises(ValueError, match=words):
        ACTION.params(**params)
