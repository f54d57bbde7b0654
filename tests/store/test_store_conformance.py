"""What every store promises; the same tests for all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.core.ports import Conflict, Delete, Fenced, Item, Lease, Put, Store, StoreUnavailable

TTL = timedelta(seconds=30)
AWKWARD: dict[str, Any] = {
    "empty": {}, "list": [1, 2.5, None, True, "ü"], "deep": {"a": {"b": [{"c": "\n\"'\\"}]}}, "big": 2**60,
    "nul": "a\0b",
}  # fmt: skip


async def put_one(store: Store, key: str, value: int = 0, **more: Any) -> Item:
    """One new document."""
    [item] = await store.commit([Put("thing", key, {"value": value}, 0, **more)])
    assert item is not None
    return item


async def test_an_absent_document_is_none(store: Store) -> None:
    """Reading what was never written answers None."""
    assert await store.get("thing", "a") is None
    assert await store.scan("thing") == []


async def test_a_put_is_read_back_whole(store: Store) -> None:
    """Body, version, epoch and expiry (to the microsecond) come back as written."""
    end = datetime(2026, 3, 2, 1, 2, 3, 456789, tzinfo=UTC)
    [written] = await store.commit([Put("thing", "a", AWKWARD, 0, end)])
    assert written == Item("thing", "a", 1, 0, AWKWARD, end)
    assert await store.get("thing", "a") == written


async def test_versions_rise_by_one(store: Store) -> None:
    """Each write of a document raises its version by one."""
    await put_one(store, "a")
    for version in (1, 2, 3):
        [item] = await store.commit([Put("thing", "a", {"at": version}, version)])
        assert item is not None
        assert item.version == version + 1


@pytest.mark.parametrize("version", [0, 2, 7])
async def test_a_stale_put_conflicts_and_changes_nothing(store: Store, version: int) -> None:
    """A Put that expects another version than the stored one is refused."""
    before = await put_one(store, "a")
    with pytest.raises(Conflict, match="'a': expected"):
        await store.commit([Put("thing", "a", {"new": 1}, version)])
    assert await store.get("thing", "a") == before


@pytest.mark.parametrize("write", [Put("thing", "z", {}, 1), Delete("thing", "z", 1)])
async def test_writing_over_nothing_conflicts(store: Store, write: Put | Delete) -> None:
    """Expecting a version of a document that isn't there is refused."""
    with pytest.raises(Conflict, match="expected version 1, found none"):
        await store.commit([write])


async def test_delete_removes_only_its_version(store: Store) -> None:
    """A stale Delete is refused; the right one answers None and removes."""
    await put_one(store, "a")
    with pytest.raises(Conflict):
        await store.commit([Delete("thing", "a", 2)])
    assert await store.commit([Delete("thing", "a", 1)]) == [None]
    assert await store.get("thing", "a") is None


async def test_one_conflict_stops_the_whole_batch(store: Store) -> None:
    """Writes before and after the conflicting one leave no trace."""
    first, doomed = await put_one(store, "first"), await put_one(store, "doomed")
    writes = [Put("thing", "first", {"new": 1}, 1), Delete("thing", "doomed", 1), Put("thing", "x", {}, 9)]
    with pytest.raises(Conflict):
        await store.commit(writes)
    assert await store.scan("thing") == [doomed, first]


async def test_a_batch_answers_in_order(store: Store) -> None:
    """Items come back in the order of the writes, None for deletes."""
    await put_one(store, "old")
    got = await store.commit([Put("thing", "b", {}, 0), Delete("thing", "old", 1), Put("thing", "a", {}, 0)])
    assert [item.key if item else None for item in got] == ["b", None, "a"]


async def test_one_document_twice_in_a_batch_is_an_error(store: Store) -> None:
    """No order between two writes of one document is promised, so the batch is refused."""
    with pytest.raises(ValueError, match="twice"):
        await store.commit([Put("thing", "a", {}, 0), Put("thing", "a", {}, 1)])
    assert await store.get("thing", "a") is None


@pytest.mark.parametrize("body", [{"at": datetime(2026, 1, 1, tzinfo=UTC)}, {"x": float("nan")}, {"x": {1, 2}}])
async def test_a_body_that_is_no_json_writes_nothing(store: Store, body: dict[str, Any]) -> None:
    """A body that can't be stored exactly fails the whole batch, and the store goes on."""
    with pytest.raises((TypeError, ValueError)):
        await store.commit([Put("thing", "ok", {}, 0), Put("thing", "bad", body, 0)])
    assert await store.scan("thing") == []
    await put_one(store, "ok")


async def test_callers_share_no_objects_with_the_store(store: Store) -> None:
    """Changing a body after the write, or one that was read, changes nothing stored."""
    body: dict[str, Any] = {"list": [1]}
    await store.commit([Put("thing", "a", body, 0)])
    body["list"].append(2)
    read = await store.get("thing", "a")
    assert read is not None
    read.body["list"].append(3)
    again = await store.get("thing", "a")
    assert again is not None
    assert again.body == {"list": [1]}


async def test_scan_is_by_kind_prefix_and_order(store: Store) -> None:
    """Only the kind asked for, only keys with the prefix, in code point order; wildcards mean themselves."""
    for key in ("b/2", "b/1", "b", "a", "b%", "b_", "c", "b\U0010ffff", "b\U0010ffffz", "b\ud7ffx", "ä"):
        await put_one(store, key)
    await store.commit([Put("other", "b/3", {}, 0)])

    async def keys(prefix: str) -> list[str]:
        return [item.key for item in await store.scan("thing", prefix)]

    assert await keys("b/") == ["b/1", "b/2"]
    assert await keys("b") == ["b", "b%", "b/1", "b/2", "b_", "b\ud7ffx", "b\U0010ffff", "b\U0010ffffz"]
    assert await keys("b%") == ["b%"]
    assert await keys("b\U0010ffff") == ["b\U0010ffff", "b\U0010ffffz"]
    assert await keys("b\ud7ff") == ["b\ud7ffx"]
    assert len(await keys("")) == 11


async def test_an_expired_document_is_gone_before_prune(store: Store, clock: Any) -> None:
    """From the instant of its expiry a document is neither read nor matched; it can be created anew."""
    await put_one(store, "a", expires_at=clock.now() + timedelta(seconds=10))
    clock.at += timedelta(seconds=9.999999)
    assert await store.get("thing", "a") is not None
    clock.at += timedelta(seconds=0.000001)
    assert await store.get("thing", "a") is None
    assert await store.scan("thing") == []
    with pytest.raises(Conflict):
        await store.commit([Put("thing", "a", {}, 1)])
    assert (await put_one(store, "a")).version == 1


async def test_prune_counts_and_spares_the_living(store: Store, clock: Any) -> None:
    """Only what expired by the given time goes."""
    for seconds in (1, 2, 3):
        await put_one(store, f"a{seconds}", expires_at=clock.now() + timedelta(seconds=seconds))
    await put_one(store, "for-ever")
    clock.at += timedelta(seconds=2)
    assert await store.prune(clock.now()) == 2
    assert await store.prune(clock.now()) == 0
    assert [item.key for item in await store.scan("thing")] == ["a3", "for-ever"]


async def test_a_naive_time_is_refused(store: Store) -> None:
    """A time without a zone can't be compared, so it isn't stored."""
    with pytest.raises((TypeError, ValueError)):
        await put_one(store, "a", expires_at=datetime(2026, 1, 1))
    assert await store.scan("thing") == []


# --- leases -----------------------------------------------------------------------------------------------------------


async def held(store: Store, clock: Any, owner: str = "me") -> Lease:
    """A lease of pipeline `etl`."""
    lease = await store.acquire("etl", owner, TTL, clock.now())
    assert lease is not None
    return lease


async def test_a_lease_excludes_others_until_it_ends(store: Store, clock: Any) -> None:
    """Another owner waits; from the instant of the end on it may take over, with a higher epoch."""
    mine = await held(store, clock)
    assert mine == Lease("etl", "me", 1, clock.now() + TTL)
    clock.at += TTL - timedelta(microseconds=1)
    assert await store.acquire("etl", "you", TTL, clock.now()) is None
    clock.at += timedelta(microseconds=1)
    theirs = await store.acquire("etl", "you", TTL, clock.now())
    assert theirs is not None
    assert theirs.epoch == 2


async def test_pipelines_are_leased_apart(store: Store, clock: Any) -> None:
    """One pipeline's lease says nothing of another's."""
    await held(store, clock)
    other = await store.acquire("ingest", "you", TTL, clock.now())
    assert other is not None
    assert other.epoch == 1


async def test_the_same_owner_gets_a_fresh_epoch(store: Store, clock: Any) -> None:
    """A restart under the same name fences its former self."""
    old = await held(store, clock)
    assert (await held(store, clock)).epoch == 2
    with pytest.raises(Fenced):
        await store.renew(old, TTL, clock.now())


async def test_renewing_moves_the_end_only(store: Store, clock: Any) -> None:
    """Same owner, same epoch, later end; others stay out until then."""
    lease = await held(store, clock)
    clock.at += timedelta(seconds=20)
    renewed = await store.renew(lease, TTL, clock.now())
    assert renewed == Lease("etl", "me", 1, clock.now() + TTL)
    clock.at += timedelta(seconds=20)
    assert await store.acquire("etl", "you", TTL, clock.now()) is None


async def test_a_lapsed_lease_nobody_took_can_be_renewed(store: Store, clock: Any) -> None:
    """Fencing is about a newer owner, not about time."""
    lease = await held(store, clock)
    clock.at += 2 * TTL
    assert (await store.renew(lease, TTL, clock.now())).epoch == 1


async def test_a_writer_that_lost_its_lease_is_fenced(store: Store, clock: Any) -> None:
    """After a takeover the former owner writes nothing, not even with the right version."""
    old = await held(store, clock)
    await store.commit([Put("thing", "a", {}, 0)], old)
    clock.at += TTL
    new = await held(store, clock, "you")
    with pytest.raises(Fenced):
        await store.commit([Put("thing", "a", {}, 1), Put("thing", "b", {}, 0)], old)
    with pytest.raises(Fenced):
        await store.commit([], old)
    [item] = await store.commit([Put("thing", "a", {}, 1)], new)
    assert item is not None
    assert (item.version, item.epoch) == (2, 2)
    assert await store.get("thing", "b") is None


async def test_fenced_goes_before_conflict(store: Store, clock: Any) -> None:
    """A writer that lost both must learn that it is no longer the owner, not that it should read again."""
    old = await held(store, clock)
    await held(store, clock)
    with pytest.raises(Fenced):
        await store.commit([Put("thing", "a", {}, 5)], old)


async def test_a_released_lease_is_free_and_fences(store: Store, clock: Any) -> None:
    """Release lets others in at once, ends the giver's rights, and can be repeated."""
    lease = await held(store, clock)
    await store.release(lease)
    await store.release(lease)
    with pytest.raises(Fenced):
        await store.renew(lease, TTL, clock.now())
    with pytest.raises(Fenced):
        await store.commit([], lease)
    assert (await held(store, clock, "you")).epoch == 2


async def test_releasing_a_lost_lease_leaves_the_new_one(store: Store, clock: Any) -> None:
    """Who lost a lease can't give it away."""
    old = await held(store, clock)
    clock.at += TTL
    new = await held(store, clock, "you")
    await store.release(old)
    assert (await store.renew(new, TTL, clock.now())).epoch == new.epoch


async def test_a_reopened_store_takes_over_at_once_with_a_higher_epoch(store: Store, clock: Any) -> None:
    """Who opens an embedded store owns it alone: nobody waits for the leases of the time before."""
    old = await held(store, clock)
    await put_one(store, "a")
    await store.close()
    await store.open()
    with pytest.raises(Fenced):
        await store.commit([], old)
    assert (await held(store, clock, "you")).epoch == 2
    assert await store.get("thing", "a") is not None


# --- turns ------------------------------------------------------------------------------------------------------------


async def test_of_racing_writers_one_wins_each_version(store: Store) -> None:
    """Twenty writers that each add one lose no addition."""
    await put_one(store, "count")

    async def add() -> None:
        while True:
            item = await store.get("thing", "count")
            assert item is not None
            try:
                await store.commit([Put("thing", "count", {"value": item.body["value"] + 1}, item.version)])
                return
            except Conflict:
                continue

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(add())
    item = await store.get("thing", "count")
    assert item is not None
    assert (item.body["value"], item.version) == (20, 21)


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancelled_commit_is_whole_or_absent(store: Store, turns: int) -> None:
    """Cancelled at any point, a commit leaves both documents or none, and the store goes on."""
    task = asyncio.ensure_future(store.commit([Put("thing", "a", {}, 0), Put("thing", "b", {}, 0)]))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(await store.scan("thing")) in {0, 2}
    await put_one(store, "after")
    assert await store.get("thing", "after") is not None


async def test_a_closed_store_says_so(store: Store, clock: Any) -> None:
    """Every method of a closed store raises StoreUnavailable; closing again is fine."""
    lease = await held(store, clock)
    await store.close()
    await store.close()
    for call in (
        store.get("thing", "a"),
        store.scan("thing"),
        store.commit([Put("thing", "a", {}, 0)]),
        store.acquire("etl", "me", TTL, clock.now()),
        store.renew(lease, TTL, clock.now()),
        store.release(lease),
        store.prune(clock.now()),
    ):
        with pytest.raises(StoreUnavailable, match="not open"):
            await call


async def test_opening_twice_is_fine(store: Store, clock: Any) -> None:
    """A second open of the same object changes nothing."""
    lease = await held(store, clock)
    await store.open()
    await store.commit([Put("thing", "a", {}, 0)], lease)
