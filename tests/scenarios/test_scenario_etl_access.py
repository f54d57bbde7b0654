"""The ETL pipeline's policies (rows E5, E6): one that was changed comes back after a yes, weak ones are named."""

from __future__ import annotations

from etl_world import ENCRYPT, POLICY, REFUSED, ROLE, WRITE, etl, grant, granted, say

from monitor.demo.world import INGEST, PROCESSED, TRANSFORM


async def test_e5_a_policy_that_was_changed_comes_back_as_it_was_after_a_yes(stage):
    """Calls are refused since somebody wrote the role's policy: the last good one is proposed, and put after a yes."""
    scene = await stage("etl", breakers=["policy-put-back"])
    await etl(scene)
    await grant(scene, WRITE, ENCRYPT)
    good = await granted(scene)
    await scene.begin()
    await scene.advance("12m")  # all is well: what is live is what was good

    await grant(scene, WRITE)  # somebody tidies up
    await scene.side.post("cloudtrail", records=[{"eventName": "PutRolePolicy", "eventSource": "iam.amazonaws.com"}])
    await say(scene, TRANSFORM, REFUSED)
    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    assert scene.level("policy-change", "value") == "warning"
    worse = await granted(scene)
    assert worse != good
    assert await scene.requests() == []  # no policy is touched before the yes
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    assert await granted(scene) == good
    [asked] = await scene.requests()
    assert (asked.name, asked.params["RoleName"]) == ("iam:PutRolePolicy", ROLE)
    assert asked.params["PolicyName"] == POLICY

    await say(scene, INGEST, "Successfully processed incoming/1.csv")
    await scene.reset()
    await scene.until(breaker="closed", within="2h")
    assert await granted(scene) == good


async def test_e6_weak_policies_and_what_is_open_to_the_outside_are_named(stage):
    """Access Analyzer's finding on a policy, and on a bucket that strangers reach; mended, both are quiet."""
    scene = await stage("etl", checks=["prevention", "shared-outside"])
    await etl(scene)
    weak = {"Effect": "Allow", "Action": ["iam:PassRole"], "Resource": ["*"]}
    await grant(scene, WRITE, weak)
    await scene.side.post("analyzer", findings=[{"resource": f"arn:aws:s3:::{PROCESSED}", "isPublic": True}])
    await scene.begin()
    said = {row.target: row.detail for row in scene.rows("prevention") if row.level == "warning"}
    assert "PASS_ROLE_WITH_STAR_IN_RESOURCE" in said[ROLE]
    assert POLICY in said[ROLE]
    assert scene.value("shared-outside", "value") == 1
    assert scene.level("shared-outside") == "warning"

    await grant(scene, WRITE)
    await scene.side.post("analyzer", findings=[{"resource": f"arn:aws:s3:::{PROCESSED}", "status": "RESOLVED"}])
    await scene.advance("1h")
    assert scene.level("prevention", target=ROLE) == "ok"
    assert scene.level("shared-outside") == "ok"
    assert await scene.requests() == []
