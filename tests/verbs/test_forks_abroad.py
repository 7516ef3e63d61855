"""Calls of somebody elsewhere whose devices answer one SUBSCRIBE each for itself (RFC 6665 section 5.4.9, RFC 4235 section 3.9)."""

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from kemi.b2bua import forks, outside, sending, store
from kemi.b2bua.outgoing import TIMER_N, Answered, Key, Outgoing, Phase, Shown
from kemi.effects import SendRequest
from kemi.errors import SubscriptionDoesNotExist
from kemi.packages.dialog_info import MEDIA_TYPE, NAMESPACE
from tests.unit.values import ALICE, BOB, CAROL, fields_of
from tests.verbs.abroad import DAN, EVE, Abroad, requests
from tests.verbs.lists import Lists
from tests.verbs.world import World, state_of

DIALOG = "dialog"
GONE: dict[str, Any] = {"body": b"", "content_type": None, "event": DIALOG}


class Calls:
    """Bob watches Dan's calls; two of Dan's devices or more answer."""

    def __init__(self, abroad: Abroad, *tags: str) -> None:
        self.abroad = abroad
        local = abroad.watch_abroad(event=DIALOG)
        self.local = local.dialog
        abroad.answer(local.sent[0])
        (asked,) = abroad.round()
        self.asked = asked
        abroad.answered(asked, 200, expires=3600, to_tag=tags[0] if tags else "far")
        for tag in tags:
            self.tell(tag)

    def tell(self, tag: str, state: str = "active;expires=3600", number: int = 1, calls: str | None = None, **changes: Any) -> None:
        """A device tells of one call, or of these, or of the last."""
        body = document(number, call(tag) if calls is None else calls)
        usual = {"from_tag": tag, "event": DIALOG, "content_type": MEDIA_TYPE, "contact": f"<sip:{tag}@203.0.113.7>"}
        self.abroad.notify_from_far(self.asked, state, **({"body": body} | usual | changes))

    def seen(self) -> list[str]:
        """Call-IDs in what Bob is told now."""
        (told,) = self.abroad.told()
        return call_ids(told)

    def family(self) -> dict[int, Outgoing]:
        with self.abroad.database.transaction():
            return store.family(self.abroad.database, Key(BOB, DAN, DIALOG))

    def phases(self) -> list[tuple[str, Phase]]:
        return [(each.remote_tag, each.phase) for each in self.family().values()]


def call(call_id: str, state: str = "confirmed", name: str = "d1") -> str:
    return f'<dialog id="{name}" call-id="{call_id}" local-tag="l" remote-tag="r"><state>{state}</state></dialog>'


def document(number: int, calls: str, state: str = "full") -> bytes:
    head = f'<dialog-info xmlns="{NAMESPACE}" version="{number}" state="{state}" entity="{DAN}">'
    return f'<?xml version="1.0"?>\n{head}{calls}</dialog-info>'.encode()


def call_ids(told: SendRequest) -> list[str]:
    root = etree.fromstring(told.body.encode())
    return [each.get("call-id", "") for each in root]


@pytest.mark.rfc("B2B-012")
def test_the_calls_of_all_devices_are_shown_together(abroad: Abroad) -> None:
    calls = Calls(abroad, "desk", "mobile")
    (told,) = abroad.told()
    assert (state_of(told).split(";")[0], call_ids(told)) == ("active", ["desk", "mobile"])
    root = etree.fromstring(told.body.encode())
    assert (root.get("entity"), root.get("state"), root.get("version")) == (DAN, "full", "0")
    assert len({each.get("id") for each in root}) == 2
    assert calls.phases() == [("desk", Phase.ESTABLISHED), ("mobile", Phase.ESTABLISHED)]
    assert abroad.round() == []


@pytest.mark.rfc("B2B-012")
def test_what_one_device_tells_is_passed_on_octet_by_octet(abroad: Abroad) -> None:
    calls = Calls(abroad, "desk")
    (told,) = abroad.told()
    assert told.body.encode() == document(0, call("desk"))
    calls.tell("mobile")
    assert calls.seen() == ["desk", "mobile"]
    calls.tell("mobile", "terminated;reason=timeout", **GONE)
    (told,) = abroad.told()
    assert told.body.encode() == document(2, call("desk")), "numbered for this watcher"


@pytest.mark.rfc("B2B-012", "B2B-022")
def test_changes_are_merged_for_each_device(abroad: Abroad) -> None:
    """Each counts its own documents."""
    calls = Calls(abroad, "desk", "mobile")
    abroad.told()
    calls.tell("mobile", number=2, body=document(2, call("second", name="d2"), "partial"))
    assert calls.seen() == ["desk", "mobile", "second"]
    calls.tell("desk", number=7, calls="")
    assert calls.seen() == ["mobile", "second"]
    calls.tell("desk", number=6)
    assert abroad.told() == []


@pytest.mark.rfc("B2B-012")
def test_each_is_refreshed_in_its_own_dialog_and_with_its_own_answer(abroad: Abroad) -> None:
    calls = Calls(abroad, "desk", "mobile")
    abroad.told()
    abroad.now += 3571
    refreshes = {fields_of(each.headers)["To"][0].partition(";tag=")[2]: each for each in abroad.round()}
    assert set(refreshes) == {"desk", "mobile"}
    assert {each.cseq for each in refreshes.values()} == {2}
    assert {each.uri for each in refreshes.values()} == {"sip:desk@203.0.113.7", "sip:mobile@203.0.113.7"}
    assert {tuple(fields_of(each.headers)[name][0] for name in ("Call-ID", "From")) for each in refreshes.values()} == {
        tuple(fields_of(calls.asked.headers)[name][0] for name in ("Call-ID", "From"))
    }
    abroad.answered(refreshes["mobile"], 481)
    assert calls.phases() == [("desk", Phase.ESTABLISHED)]
    abroad.answered(refreshes["mobile"], 481)
    assert calls.phases() == [("desk", Phase.ESTABLISHED)], "an answer that comes again is not the other's"
    assert calls.seen() == ["desk"]
    assert abroad.round() == []


def test_what_cannot_be_sent_is_known_by_both_tags(abroad: Abroad) -> None:
    calls = Calls(abroad, "desk", "mobile")
    abroad.now += 3571
    (refresh,) = [each for each in abroad.round() if each.id.endswith("/mobile")]
    abroad.round(Answered(refresh.id, refresh.cseq, 0))
    assert [each.why for each in calls.family().values()] == ["", "not sent"]


@pytest.mark.rfc("B2B-012", "B2B-011")
def test_when_the_last_watcher_leaves_all_devices_are_told(abroad: Abroad) -> None:
    calls = Calls(abroad, "desk", "mobile", "soft")
    abroad.told()
    abroad.refresh(calls.local, expires="0")
    abroad.told()
    leaving = abroad.sweep_abroad()
    to = sorted(fields_of(each.headers)["To"][0].partition(";tag=")[2] for each in leaving)
    assert (to, {fields_of(each.headers)["Expires"][0] for each in leaving}) == (["desk", "mobile", "soft"], {"0"})
    for each, tag in zip(leaving, ("desk", "mobile", "soft"), strict=True):
        abroad.answered(each, 200, expires=0)
        calls.tell(tag, "terminated;reason=timeout", **GONE)
    assert calls.family() == {}


def test_who_comes_back_while_all_are_left_hears_all_of_them_once(abroad: Abroad) -> None:
    calls = Calls(abroad, "desk", "mobile")
    abroad.told()
    abroad.refresh(calls.local, expires="0")
    abroad.told()
    old = abroad.sweep_abroad()
    again = abroad.watch_abroad(event=DIALOG)
    assert again.sent[0].body == ""
    abroad.answer(again.sent[0])
    calls.tell("desk", "terminated;reason=timeout", **GONE)
    (asked,) = abroad.round()
    assert asked.id != old[0].id
    before, calls.asked = calls.asked, asked
    calls.tell("desk")
    calls.tell("mobile")
    assert sorted(calls.phases(), key=str) == [
        ("desk", Phase.ESTABLISHED), ("mobile", Phase.ESTABLISHED), ("mobile", Phase.LEAVING),
    ]  # fmt: skip
    assert calls.seen() == ["desk", "mobile"]
    calls.asked = before
    calls.tell("mobile", "terminated;reason=timeout", **GONE)
    assert abroad.told() == []


@pytest.mark.rfc("B2B-012")
def test_a_device_that_answers_when_timer_n_is_over_gets_481(abroad: Abroad, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(abroad, "desk")
    abroad.now += TIMER_N - 1
    calls.tell("mobile")
    abroad.now += 1
    with monkeypatch.context() as patched:
        patched.delattr(store, "family")  # what others told is not read for that, however often it comes
        with pytest.raises(SubscriptionDoesNotExist):
            calls.tell("soft")
    calls.tell("mobile", number=2)
    assert len(calls.family()) == 2


@pytest.mark.rfc("B2B-012")
def test_there_are_no_more_than_so_many(abroad: Abroad) -> None:
    calls = Calls(abroad, *(f"device{number}" for number in range(forks.MOST + 1)))
    with pytest.raises(SubscriptionDoesNotExist):
        calls.tell("one-more")
    assert len(calls.family()) == forks.MOST + 1


@pytest.mark.rfc("B2B-012")
def test_a_notify_that_comes_late_does_not_bring_a_device_back(abroad: Abroad) -> None:
    """Over UDP one may overtake another, and the last one be there first."""
    calls = Calls(abroad, "desk", "mobile")
    calls.tell("soft", "terminated;reason=timeout", cseq=3, **GONE)
    calls.tell("mobile", "terminated;reason=timeout", cseq=3, **GONE)
    for tag, cseq in (("soft", 2), ("mobile", 2), ("mobile", 4)):
        with pytest.raises(SubscriptionDoesNotExist):
            calls.tell(tag, cseq=cseq)
    assert calls.seen() == ["desk"]
    abroad.now += TIMER_N
    assert abroad.round() == []
    assert calls.phases() == [("desk", Phase.ESTABLISHED)]


@pytest.mark.rfc("B2B-012")
def test_ever_new_tags_make_no_more_rows_than_so_many(abroad: Abroad) -> None:
    calls = Calls(abroad, "desk")
    for number in range(forks.MOST):
        calls.tell(f"device{number}", "terminated;reason=noresource", **GONE)
    with pytest.raises(SubscriptionDoesNotExist):
        calls.tell("one-more", "terminated;reason=noresource", **GONE)
    assert [each.fork for each in calls.family().values()] == list(range(forks.MOST + 1))
    abroad.now += TIMER_N
    assert abroad.round() == []
    assert set(calls.family()) == {0}


@pytest.mark.rfc("B2B-012")
def test_of_documents_that_are_too_large_together_the_first_are_shown(abroad: Abroad) -> None:
    abroad.set(max_body=1024)
    large = call("large") + "<!-- -->" * 85
    calls = Calls(abroad, "desk", "mobile")
    for tag in ("soft", "door", "fax", "car"):
        calls.tell(tag, calls=large.replace("large", tag))
    assert calls.seen() == ["desk", "mobile", "soft", "door", "fax"]


@pytest.mark.rfc("B2B-012")
def test_a_document_that_becomes_too_large_by_others_gives_way_to_the_first(abroad: Abroad) -> None:
    abroad.set(max_body=1024)
    calls = Calls(abroad, "desk")
    hops = f"<route-set><hop>{'>' * 700}</hop></route-set></dialog>"
    for tag in ("mobile", "soft", "door"):
        calls.tell(tag, calls=call(tag).replace("</dialog>", hops))
    (told,) = abroad.told()
    assert told.body.encode() == document(0, call("desk"))


@pytest.mark.rfc("B2B-012")
@pytest.mark.parametrize("event", ["presence", "presence.winfo", "dialog.winfo"])
def test_other_packages_hear_who_answers_first(abroad: Abroad, event: str) -> None:
    abroad.watch_abroad(event=event)
    (asked,) = abroad.round()
    abroad.notify_from_far(asked, "active;expires=600", **(GONE | {"event": event}))
    with pytest.raises(SubscriptionDoesNotExist):
        abroad.far(asked, from_tag="second", event=event)


@pytest.mark.rfc("B2B-012", "B2B-014")
@pytest.mark.parametrize("wrong", [{"call_id": "other"}, {"event": "presence"}, {"from_tag": ""}])
def test_what_does_not_answer_this_request_begins_nothing(abroad: Abroad, wrong: dict[str, str]) -> None:
    calls = Calls(abroad, "desk")
    with pytest.raises(SubscriptionDoesNotExist):
        calls.tell("mobile", **wrong)
    assert len(calls.family()) == 1


def test_forks_are_not_counted_as_subscriptions(abroad: Abroad) -> None:
    abroad.parameters({"max_per_watcher": 2, "max_per_domain": 2})
    Calls(abroad, "desk", "mobile", "soft")
    abroad.watch_abroad(BOB, EVE)
    assert outside.reached(abroad.moment, Key(BOB, "sip:fay@far.example.net", DIALOG)) == "b2b.max_per_watcher"
    assert store.full(abroad.database, 3, 3) == []


@pytest.mark.rfc("B2B-012")
def test_when_the_first_one_ends_it_is_subscribed_anew_and_the_others_are_left(abroad: Abroad) -> None:
    """Bob sees no gap, and no call twice."""
    calls = Calls(abroad, "desk", "mobile")
    abroad.told()
    abroad.now += 60
    calls.tell("desk", "terminated;reason=deactivated", **GONE)
    assert abroad.told() == []
    (calls.asked,), old = abroad.round(), calls.asked
    calls.tell("mobile2", calls=call("mobile"))
    assert calls.seen() == ["mobile"]
    assert calls.phases() == [("mobile2", Phase.ESTABLISHED), ("mobile", Phase.LEAVING)]
    calls.tell("desk2", calls=call("desk"))
    assert calls.seen() == ["mobile", "desk"]
    calls.asked = old
    calls.tell("mobile", "terminated;reason=timeout", **GONE)
    assert abroad.told() == []
    assert calls.phases() == [("mobile2", Phase.ESTABLISHED), ("desk2", Phase.ESTABLISHED)]


@pytest.mark.rfc("B2B-012")
def test_a_first_one_that_refuses_does_not_speak_for_the_others(abroad: Abroad) -> None:
    calls = Calls(abroad, "desk", "mobile")
    abroad.told()
    calls.tell("desk", "terminated;reason=rejected", **GONE)
    assert calls.seen() == ["mobile"]
    second = abroad.watch_abroad(event=DIALOG)
    assert call_ids(second.sent[0]) == ["mobile"], "who comes now is let in"
    abroad.answer(second.sent[0])
    calls.tell("mobile", "terminated;reason=noresource", **GONE)
    assert {state_of(each) for each in abroad.told()} == {"terminated;reason=rejected"}


def test_pending_and_active_are_active(abroad: Abroad) -> None:
    calls = Calls(abroad)
    calls.tell("desk", "pending;expires=600", **GONE)
    assert abroad.told() == []
    calls.tell("mobile")
    assert calls.seen() == ["mobile"]
    calls.tell("mobile", "terminated;reason=timeout", **GONE)
    (told,) = abroad.told()
    assert state_of(told).startswith("pending")


# Time, restarts, operators


def test_after_a_restart_each_dialog_goes_on(abroad: Abroad, connect: Callable[..., object]) -> None:
    calls = Calls(abroad, "desk", "mobile")
    abroad.now += 3571
    refreshes = {each.id: each.cseq for each in abroad.round()}
    store.resume(abroad.database, abroad.now)
    assert {each.id: each.cseq for each in abroad.round()} == {name: cseq + 1 for name, cseq in refreshes.items()}
    calls.tell("mobile", number=2)
    assert calls.phases() == [("desk", Phase.ESTABLISHED), ("mobile", Phase.ESTABLISHED)]


def test_a_device_that_is_gone_is_shown_until_its_time_is_over(abroad: Abroad) -> None:
    calls = Calls(abroad, "desk")
    calls.tell("mobile", "active;expires=100")
    abroad.told()
    abroad.now += 99
    abroad.round()
    assert abroad.told() == []
    abroad.now += 1
    abroad.round()
    assert calls.seen() == ["desk"]
    assert len(calls.family()) == 1


def test_several_that_are_due_at_once_are_each_taken_as_they_are(abroad: Abroad) -> None:
    """The first one is left, and its forks with it, by what has come first; nothing is undone by what comes behind."""
    calls = Calls(abroad, "desk", "mobile")
    abroad.parameters({"domains": "other.example.net"})
    abroad.now += 3571
    left = abroad.round()
    assert {fields_of(each.headers)["Expires"][0] for each in left} == {"0"}
    assert len(left) == 2
    assert {phase for _tag, phase in calls.phases()} == {Phase.LEAVING}


def test_a_domain_that_is_not_watched_any_more_is_left_by_all(abroad: Abroad) -> None:
    calls = Calls(abroad, "desk", "mobile")
    abroad.told()
    abroad.parameters({"domains": "other.example.net"})
    effects, _is_all = sending.leave_unreachable(abroad.at, abroad.chance)
    assert len(requests(effects)) == 2
    assert {phase for _tag, phase in calls.phases()} == {Phase.LEAVING}
    (told,) = abroad.told()
    assert state_of(told) == "terminated;reason=noresource"


def test_two_watchers_have_forks_of_their_own(abroad: Abroad) -> None:
    Calls(abroad, "desk", "mobile")
    second = abroad.watch_abroad(CAROL, event=DIALOG)
    assert second.sent[0].body == ""
    (asked,) = abroad.round()
    assert asked.cseq == 1


# Lists


@pytest.fixture
def world(abroad: Abroad) -> World:
    return abroad


@pytest.mark.rfc("B2B-012")
def test_a_member_of_a_list_has_the_calls_of_all_devices(lists: Lists, abroad: Abroad) -> None:
    lists.put(ALICE, DAN)
    subscriber = lists.watch(ALICE, DAN, event=DIALOG)
    (asked,) = abroad.round()
    more = {"event": DIALOG, "content_type": MEDIA_TYPE}
    for tag in ("desk", "mobile"):
        abroad.notify_from_far(asked, body=document(1, call(tag)), from_tag=tag, **more)
    (told,) = subscriber.told()
    assert [each.get("call-id") for each in etree.fromstring(told.instance(DAN).body)] == ["desk", "mobile"]
    abroad.notify_from_far(asked, "terminated;reason=timeout", **(GONE | {"from_tag": "mobile"}))
    (told,) = subscriber.told()
    assert told.instance(DAN).body == document(1, call("desk"))
    assert abroad.known(BOB, DAN, DIALOG).shown is Shown.ACTIVE
