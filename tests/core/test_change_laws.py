"""Claims and the two tables that decide what a resumed change or undo does."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.change import Change, Claim, Entry, Phase, Receipt, property_key, resume, resume_undo
from monitor.core.codec import decode, encode

CHANGE = Change("cut", "fn", 5, "set fn to 5", {"name": "fn"}, "reserved")


def entry(prior: Any, effective: Any, *, restore: Any = None, receipt: bool = False) -> Entry:
    """An intended change."""
    told = Receipt(CHANGE, prior, effective, changed=True) if receipt else None
    return Entry("etl/loop/t/1/a/0000", "a", CHANGE, Phase.INTENDED, prior, effective, told, restore, "claim")


@pytest.mark.parametrize(
    ("prior", "effective", "live", "phase"),
    [
        (100, 5, 5, Phase.APPLIED),  # the effect is there, only the receipt is missing
        (100, 5, 100, Phase.INTENDED),  # nothing happened yet
        (100, 5, 7, Phase.DRIFT),  # somebody else changed it
        (None, 5, None, Phase.INTENDED),  # it was unset and still is
        (None, 5, 5, Phase.APPLIED),
        (5, 5, 5, Phase.UNCHANGED),  # it was so already
    ],
)
def test_a_resumed_change_goes_by_what_is_live(prior: Any, effective: Any, live: Any, phase: Phase) -> None:
    """Wanted: done. Captured: apply. Neither: drift."""
    assert resume(entry(prior, effective), live) is phase


def test_a_value_of_another_holder_is_no_drift() -> None:
    """A stricter holder that left has set ours' companion: there is still something to apply."""
    claim = Claim(100, current=50).join("other", 50).join("mine", 5)
    assert resume(entry(100, 5), 50, claim) is Phase.INTENDED
    assert resume(entry(100, 5), 51, claim) is Phase.DRIFT


@pytest.mark.parametrize(
    ("restore", "live", "receipt", "phase"),
    [
        (100, 5, True, Phase.UNDOING),  # ours to restore
        (100, 100, True, Phase.UNDONE),  # restored already
        (100, 7, True, Phase.DRIFT),  # somebody else's
        (100, 100, False, Phase.UNDONE),  # never applied
        (None, 5, True, Phase.UNDOING),  # back to unset
        (None, None, True, Phase.UNDONE),
        (100, 5, False, Phase.UNDOING),  # applied, and the receipt lost in a crash
        (100, 9, False, Phase.DRIFT),
    ],
)
def test_a_resumed_undo_goes_by_what_is_live(restore: Any, live: Any, receipt: bool, phase: Phase) -> None:
    """Restored: done. Ours: restore. Neither: drift, left alone."""
    claim = Claim(restore, current=5).join("mine", 5).leave("mine")
    assert resume_undo(entry(restore, 5, restore=restore, receipt=receipt), live, claim) is phase


@given(st.data())
def test_holders_in_any_order_restore_the_base(data: st.DataObject) -> None:
    """Joins, leaves, and crashes between an effect and its receipt, at random: no drift, and the base at the end."""
    base = data.draw(st.sampled_from([None, 100]))
    wanted = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    live: Any = base
    claim: Claim | None = None
    outside, inside = [f"h{n}" for n in range(len(wanted))], []
    values = dict(zip(outside, wanted, strict=True))
    entries: dict[str, Entry] = {}
    while outside or inside:
        joins = bool(outside) and (not inside or data.draw(st.booleans()))
        key = data.draw(st.sampled_from(outside if joins else inside))
        applied = data.draw(st.booleans())  # or it is held between intent and effect
        told = data.draw(st.booleans())  # or it crashes between effect and receipt
        if joins:
            claim = (claim or Claim(live)).join(key, values[key])
            effective = min(claim.wanted())
            claim = replace(claim, current=effective)
            entries[key] = replace(entry(live, effective), key=key)
            live = effective if applied else live
            entries[key] = replace(entries[key], receipt=Receipt(CHANGE) if applied and told else None)
            outside.remove(key)
            inside.append(key)
            continue
        assert claim is not None
        for attempt in range(2):  # the second one is the resumption
            claim = claim.leave(key)
            restore = min(claim.wanted()) if claim.wanted() else claim.base
            phase = resume_undo(replace(entries[key], restore=restore), live, claim)
            assert phase is not Phase.DRIFT
            if phase is Phase.UNDOING:
                live = restore
            if told or attempt:
                break
        claim = replace(claim.without(key), current=restore)
        inside.remove(key)
    assert claim is not None
    assert claim.holders == {}
    assert live == base


def test_entries_and_claims_survive_the_journal() -> None:
    """What is decoded is what was encoded, an unset base included."""
    whole = replace(entry(None, 5, receipt=True), memory={"mark": 3}, at=datetime(2026, 1, 2, tzinfo=UTC))
    assert decode(Entry, encode(whole)) == whole
    claim = Claim(None, current=5).join("a", 5).join("b", None).leave("a")
    assert decode(Claim, encode(claim)) == claim


def test_a_foreign_value_is_refused_by_the_codec() -> None:
    """Nothing is stored that could not be read back."""
    with pytest.raises(TypeError):
        encode({"x": object()})


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        ("lambda/ingest", "1/eu-west-1/lambda/ingest/value"),
        ("s3/raw", "1/global/s3/raw/value"),
        ("iam/role/policy", "1/global/iam/role/policy/value"),
        ("budgets/jaunt", "1/global/budgets/jaunt/value"),
        ("cloudfront/E1", "1/global/cloudfront/E1/value"),
    ],
)
def test_what_belongs_to_no_region_is_named_without_one(resource: str, key: str) -> None:
    """Pipelines of two regions meet on one claim, or each would restore the other's value."""
    assert property_key("1", "eu-west-1", replace(CHANGE, resource=resource, property="value")) == key
