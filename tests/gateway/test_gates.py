"""The gates alone: their order, and what each says to facts."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import Refused
from gateway.rules.consent import PURPOSE_OF_KIND
from gateway.rules.gates import GATES, RELEASE_GATES, Facts, Wait, judge
from gateway.rules.kinds import COMPANIONS, KINDS, check_cell, matrix
from gateway.rules.lifecycle import Hold
from gateway.rules.permissions import SEND_SMS, may, permissions_of
from gateway.rules.routing import Lanes, choose

GOOD = Facts(
    channel="sms",
    kind="contact",
    user={"active": 1, "roles": '["recruiter"]', "seat": 1},
    on_team=True,
    sms_enabled=True,
    candidate={"phone_state": "ok", "country": "SE"},
    country={"state": "active", "no_sender": "deny"},
    suppressed=False,
    consent="granted",
    sender={"id": "snd_1"},
    rights=permissions_of('["recruiter"]'),
)

BAD: list[tuple[dict[str, Any], str, int]] = [
    ({"user": {"active": 0, "roles": "[]", "seat": 0}}, "user_inactive", 403),
    ({"rights": frozenset()}, "permission_denied", 403),
    ({"on_team": False}, "not_on_hiring_team", 403),
    ({"user": {"active": 1, "roles": '["recruiter"]', "seat": 0}}, "seat_required", 403),
    ({"is_set_up": False}, "not_set_up", 409),
    ({"sms_enabled": False}, "channel_disabled", 409),
    ({"candidate": {"phone_state": "invalid", "country": None}}, "invalid_number", 422),
    ({"country": None}, "country_disabled", 409),
    ({"sender": None}, "no_sender_for_country", 409),
    ({"kind": "rejection"}, "kind_not_allowed_on_channel", 422),
    ({"suppressed": True}, "opted_out", 409),
    ({"consent": "none"}, "consent_required", 409),
]


def test_good_facts_pass_at_once():
    assert judge(GOOD) is None


@pytest.mark.parametrize(("changes", "code", "status"), BAD, ids=[code for _, code, _ in BAD])
def test_each_wrong_fact_has_its_code(changes, code, status):
    with pytest.raises(Refused) as refused:
        judge(replace(GOOD, **changes))
    assert (refused.value.code, refused.value.status) == (code, status)
    assert refused.value.detail.endswith(".")


def test_the_first_gate_that_objects_decides():
    for first, (_, code, _) in enumerate(BAD):
        facts = GOOD
        for changes, _, _ in reversed(BAD[first:]):
            facts = replace(facts, **changes)
        with pytest.raises(Refused) as refused:
            judge(facts)
        assert refused.value.code == code


@pytest.mark.parametrize("consent", ["none", "requested", "refused", "expired"])
def test_consent_is_required_whatever_came_short_of_it(consent):
    with pytest.raises(Refused) as refused:
        judge(replace(GOOD, consent=consent))
    assert refused.value.code == "consent_required"
    assert refused.value.facts == {"channel": "sms", "status": consent}


def test_withdrawn_consent_reads_as_opted_out():
    with pytest.raises(Refused) as refused:
        judge(replace(GOOD, consent="revoked"))
    assert refused.value.code == "opted_out"


def test_pending_consent_holds():
    assert judge(replace(GOOD, consent="pending_double_opt_in")) == Wait(Hold.PENDING_OPT_IN)


@pytest.mark.parametrize("state", ["off", "requested", "documents", "testing", "suspended"])
def test_only_an_active_country_is_written_to(state):
    with pytest.raises(Refused) as refused:
        judge(replace(GOOD, country={"state": state}))
    assert refused.value.code == "country_disabled"


def test_what_is_looked_at_again_before_sending_is_part_of_the_whole_and_in_its_order():
    assert [gate for gate in GATES if gate in RELEASE_GATES] == list(RELEASE_GATES)
    standing = replace(GOOD, user={}, sender=None)
    assert all(gate(standing) is None for gate in RELEASE_GATES)


def test_the_right_is_needed_by_name():
    assert may('["recruiter"]', SEND_SMS)
    assert not may("[]", SEND_SMS)


# Which sender (S21).

LOCAL = {"id": "snd_se", "active": 1, "countries": '["SE"]', "international": 0}
ABROAD = {"id": "snd_int", "active": 1, "countries": '["DK"]', "international": 1}
OFF = {"id": "snd_off", "active": 0, "countries": '["SE"]', "international": 1}


@pytest.mark.parametrize(
    ("senders", "country", "sticky", "chosen"),
    [
        ([ABROAD, LOCAL], "SE", None, "snd_se"),
        ([ABROAD, LOCAL], "NO", None, "snd_int"),
        ([LOCAL], "NO", None, None),
        ([OFF], "SE", "snd_off", None),
        ([ABROAD, LOCAL], "SE", "snd_int", "snd_int"),
        ([ABROAD, LOCAL], "NO", "snd_se", "snd_int"),
        ([ABROAD, LOCAL], "SE", "snd_gone", "snd_se"),
        ([], "SE", None, None),
    ],
)
def test_sticky_then_local_then_international_then_none(senders, country, sticky, chosen):
    found = choose(senders, country, "cand_1", sticky)
    assert (found and found["id"]) == chosen


def test_equal_senders_share_the_candidates_and_keep_them():
    senders = [LOCAL | {"id": f"snd_{number}"} for number in range(4)]
    first = {f"cand_{number}": choose(senders, "SE", f"cand_{number}", None)["id"] for number in range(400)}
    assert {choose(reversed(senders), "SE", name, None)["id"] == home for name, home in first.items()} == {True}
    assert min(list(first.values()).count(f"snd_{number}") for number in range(4)) > 60
    moved = sum(choose(senders[:3], "SE", name, None)["id"] != home for name, home in first.items())
    assert moved == list(first.values()).count("snd_3")


def test_lanes_keep_their_shares():
    lanes, firsts = Lanes(), []
    for _ in range(100):
        order = lanes.order()
        assert sorted(order) == [0, 1, 2]
        firsts.append(order[0])
        lanes.took()
    assert [firsts.count(lane) for lane in (0, 1, 2)] == [60, 30, 10]
    assert lanes.order() == lanes.order(), "only a claim passes the turn on"


def test_what_the_box_writes_itself_is_nobody_elses_to_send_to_template_or_to_switch_off():
    assert {cell.kind for cell in matrix(())} == set(KINDS) == set(PURPOSE_OF_KIND) - COMPANIONS
    for kind in COMPANIONS:
        with pytest.raises(Refused) as refused:
            check_cell(kind, "sms", False)
        assert refused.value.code == "unknown_kind"
