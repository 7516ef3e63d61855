"""What the quirks of client profiles do, and that others are untouched: kemi/client_profile.py."""

import re

import pytest

from kemi import notify
from kemi.answer import Answer
from kemi.effects import Effect, Log, SendRequest
from kemi.errors import BadEvent
from kemi.event_package import Decision
from kemi.subscription import GRACE, TIMER_F
from tests.unit.values import ALICE, BOB, CAROL, fields_of, pidf
from tests.verbs.world import World, state_of

LINPHONE, NEW_LINPHONE = "Linphone Desktop/5.1.2 (belle-sip/5.2.0)", "Linphone-Desktop/6.0.0 (debian) LinphoneSDK/5.4.10"
JITSI, PJSUA, TWINKLE = "Jitsi2.10.5550Windows 10", "PJSUA v2.17 Linux-6.1.0/x86_64/glibc-2.36", "Twinkle/1.10.2"
EYEBEAM, SPA = "eyeBeam release 1011d stamp 40820", "Cisco/SPA525G2-7.6.1"
CLIENTS = [LINPHONE, JITSI, PJSUA, EYEBEAM, SPA, "Bria 3 release 3.5.5 stamp 71243", "Linksys/SPA962-6.1.5(a)", TWINKLE]

BARE = pidf("t1").replace(b"<status><basic>open</basic></status>", b"<note>here</note>")
ADDRESS = f"<contact>{ALICE}</contact>"
CLOSED = "<basic>closed</basic>"


@pytest.fixture
def prompt(world: World) -> World:
    """A world in which NOTIFYs are not held back."""
    world.set(notify_interval=0)
    return world


def event_of(request: SendRequest) -> list[str]:
    return fields_of(request.headers)["Event"]


def etag_of(request: SendRequest) -> list[str]:
    return fields_of(request.headers)["SIP-ETag"]


# Event in capitals


@pytest.mark.parametrize(
    ("event", "repeated"), [("Presence", "Presence"), ("Presence;id=a7", "Presence;id=a7"), ("presence", "presence")]
)
def test_linphone_may_write_the_package_with_a_capital_and_reads_it_so(prompt: World, event: str, repeated: str) -> None:
    (first,) = prompt.subscribe(user_agent=LINPHONE, event=event).sent
    assert prompt.subscription(first.id).package == "presence"
    prompt.answer(first)
    prompt.publish()
    (second,) = prompt.notifier()
    assert [event_of(each) for each in (first, second)] == [[repeated], [repeated]]
    assert 'id="t1"' in second.body


def test_a_capital_does_not_part_the_dialog(prompt: World) -> None:
    dialog = prompt.watch(user_agent=LINPHONE, event="Presence")
    assert prompt.refresh(dialog, user_agent=LINPHONE, event="Presence").reply.status == 200
    (told,) = prompt.notifier()
    assert event_of(told) == ["Presence"]
    prompt.answer(told)
    prompt.refresh(dialog, user_agent=LINPHONE, event="presence")
    assert [event_of(each) for each in prompt.notifier()] == [["presence"]]


@pytest.mark.rfc("PA-018")
@pytest.mark.parametrize("user_agent", [each for each in [*CLIENTS, NEW_LINPHONE, ""] if each != LINPHONE])
def test_for_all_others_capitals_count(world: World, user_agent: str) -> None:
    with pytest.raises(BadEvent):
        world.subscribe(user_agent=user_agent, event="Presence")


@pytest.mark.rfc("PA-018")
@pytest.mark.parametrize("event", ["PRESENCE", "presencE", "Conference"])
def test_linphone_too_has_to_name_a_package(world: World, event: str) -> None:
    with pytest.raises(BadEvent):
        world.subscribe(user_agent=LINPHONE, event=event)


def test_a_package_with_parameters_keeps_those(prompt: World) -> None:
    prompt.serve(name="weather", parameters=("units",))
    (first,) = prompt.subscribe(user_agent=LINPHONE, event="Weather;units=metric").sent
    assert event_of(first) == ["weather"]
    assert prompt.subscription(first.id).event_parameters == "units=metric"


@pytest.mark.rfc("PA-018")
def test_switched_off_capitals_count_for_linphone_too(world: World) -> None:
    world.set(client_profiles=0)
    with pytest.raises(BadEvent):
        world.subscribe(user_agent=LINPHONE, event="Presence")


# Documents


@pytest.mark.parametrize(
    ("user_agent", "added"), [(JITSI, {ADDRESS}), (PJSUA, {CLOSED}), (LINPHONE, set()), (SPA, set()), (TWINKLE, set())]
)
def test_a_tuple_has_what_its_reader_needs_and_no_more(prompt: World, user_agent: str, added: set[str]) -> None:
    prompt.publish(BARE)
    (first,) = prompt.subscribe(user_agent=user_agent).sent
    assert {each for each in (ADDRESS, CLOSED) if each in first.body} == added
    assert prompt.answer(first) == []
    prompt.publish(BARE.replace(b"here", b"there"), presentity=ALICE)
    (second,) = prompt.notifier()
    assert second.body.count(ADDRESS) == (2 if ADDRESS in added else 0)
    assert second.body.count(CLOSED) == (2 if CLOSED in added else 0)


def test_what_was_published_is_told_to_all_alike(prompt: World) -> None:
    full = pidf("t1").replace(b"</status>", b"</status><contact>sip:alice@192.0.2.6</contact>")
    prompt.publish(full)
    told = [prompt.subscribe(user_agent=each).sent[0] for each in CLIENTS]
    assert len({(each.body, *etag_of(each)) for each in told}) == 1


def test_those_with_the_same_needs_share_a_document_and_its_entity_tag(prompt: World) -> None:
    prompt.publish(BARE)
    (jitsi, again, pjsua, linphone, twinkle) = (
        prompt.subscribe(user_agent=each).sent[0] for each in (JITSI, "Jitsi2.11.20200408Linux", PJSUA, LINPHONE, TWINKLE)
    )
    assert (jitsi.body, etag_of(jitsi)) == (again.body, etag_of(again))
    assert (linphone.body, etag_of(linphone)) == (twinkle.body, etag_of(twinkle))
    assert len({*etag_of(jitsi), *etag_of(pjsua), *etag_of(twinkle)}) == 3


def test_an_entity_tag_holds_in_the_next_subscribe(prompt: World) -> None:
    prompt.publish(BARE)
    (first,) = prompt.subscribe(user_agent=JITSI).sent
    prompt.answer(first)
    (etag,) = etag_of(first)
    assert prompt.refresh(first.id, user_agent=JITSI, suppress=etag).reply.status == 204


def test_the_documents_of_all_cost_one_statement(prompt: World) -> None:
    for number, user_agent in enumerate((JITSI, PJSUA, TWINKLE, TWINKLE)):
        prompt.watch(f"sip:bob{number}@example.org", user_agent=user_agent)
    prompt.publish(BARE)
    with prompt.counted() as names:
        assert len(prompt.notifier()) == 4
    assert names.count("publication_load_many") == 1


def test_switched_off_all_get_the_same_document(prompt: World) -> None:
    prompt.set(client_profiles=0)
    prompt.publish(BARE)
    told = [prompt.subscribe(user_agent=each).sent[0] for each in CLIENTS]
    assert len({(each.body, *etag_of(each)) for each in told}) == 1
    assert ADDRESS not in told[0].body


@pytest.mark.parametrize("offline", ["closed", "empty", "none"])
@pytest.mark.parametrize("user_agent", CLIENTS)
def test_polite_blocking_looks_like_offline_to_every_client(prompt: World, user_agent: str, offline: str) -> None:
    """The same header fields and the same body, but for what names the dialog."""

    def shape(request: SendRequest) -> tuple[str, str, int]:
        headers = re.sub(r"tag=kp-[^\r]*|Call-ID: [^\r]*", "", request.headers)
        return headers, request.body, request.cseq

    prompt.set(offline_document=offline)
    (away,) = prompt.subscribe(user_agent=user_agent).sent
    prompt.publish(BARE)
    prompt.decide(Decision.POLITE_BLOCK)
    (blocked,) = prompt.subscribe(user_agent=user_agent).sent
    assert shape(blocked) == shape(away)
    prompt.answer(blocked)
    prompt.publish(BARE.replace(b"here", b"there"))
    assert [each for each in prompt.notifier() if each.id == blocked.id] == []


# NOTIFYs in quick succession


def test_eyebeam_is_told_of_changes_with_a_gap_and_of_the_newest(prompt: World) -> None:
    slow, plain = prompt.watch(BOB, user_agent=EYEBEAM), prompt.watch(CAROL, user_agent=TWINKLE)
    tag = prompt.publish(pidf("t1", note="one")).tag
    (told,) = prompt.notifier()
    assert told.id == plain
    prompt.answer(told)
    prompt.publish(pidf("t1", note="two"), tag)
    assert [each.id for each in prompt.notifier()] == [plain]
    prompt.now += 2
    (late,) = [each for each in prompt.notifier() if each.id == slow]
    assert "two" in late.body


def test_the_answer_to_a_subscribe_does_not_wait(prompt: World) -> None:
    dialog = prompt.watch(user_agent=EYEBEAM)
    prompt.refresh(dialog, user_agent=EYEBEAM)
    assert [each.id for each in prompt.notifier()] == [dialog]


def test_a_refresh_without_user_agent_keeps_what_is_known(prompt: World) -> None:
    dialog = prompt.watch(user_agent=EYEBEAM)
    prompt.refresh(dialog, user_agent="")
    assert prompt.subscription(dialog).user_agent == EYEBEAM


def test_the_gap_ends_with_the_profile(prompt: World) -> None:
    dialog = prompt.watch(user_agent=EYEBEAM)
    assert prompt.subscription(dialog).least_gap == 2.0
    prompt.set(client_profiles=0)
    prompt.refresh(dialog, user_agent=EYEBEAM)
    assert prompt.subscription(dialog).least_gap == 0.0


def test_a_slower_rate_that_the_watcher_asks_for_counts(prompt: World) -> None:
    dialog = prompt.watch(user_agent=EYEBEAM, event="presence;max-rate=0.1")
    assert prompt.subscription(dialog).least_gap == 10.0
    prompt.refresh(dialog, user_agent=EYEBEAM, event="presence;max-rate=5")
    assert prompt.subscription(dialog).least_gap == 2.0
    (told,) = prompt.notifier()
    prompt.answer(told, event="presence;max-rate=20")
    assert prompt.subscription(dialog).least_gap == 2.0


# Silence


@pytest.mark.rfc("PA-009")
def test_silence_of_a_busy_spa_loses_that_notify_only(prompt: World) -> None:
    (first,) = prompt.subscribe(user_agent=SPA).sent
    prompt.now += TIMER_F + GRACE
    assert prompt.notifier() == []
    assert prompt.has_subscription(first.id)
    prompt.now += 10
    assert prompt.notifier() == []
    prompt.publish()
    (told,) = prompt.notifier()
    assert (told.cseq, state_of(told)) == (2, "active;expires=556")
    assert prompt.answer(told) == []


def test_what_changed_meanwhile_is_told_at_once(prompt: World) -> None:
    (first,) = prompt.subscribe(user_agent=SPA).sent
    prompt.publish(pidf("t1", note="meanwhile"))
    prompt.now += TIMER_F + GRACE
    assert prompt.notifier() == []
    (told,) = prompt.notifier()
    assert (told.id, told.cseq) == (first.id, 2)
    assert "meanwhile" in told.body


def test_a_spa_that_is_gone_ends_at_its_expiry(prompt: World) -> None:
    (first,) = prompt.subscribe(user_agent=SPA, expires="60").sent
    prompt.now += TIMER_F + GRACE
    assert prompt.notifier() == []
    prompt.now += 26
    (last,) = prompt.notifier()
    assert state_of(last) == "terminated;reason=timeout"
    prompt.now += TIMER_F + GRACE
    assert prompt.notifier() == []
    assert not prompt.has_subscription(first.id)


def test_a_spa_that_is_silent_over_its_expiry_gets_its_farewell(prompt: World) -> None:
    prompt.set(min_expires=1)
    (first,) = prompt.subscribe(user_agent=SPA, expires="5").sent
    prompt.now += TIMER_F + GRACE
    assert prompt.notifier() == []
    (last,) = prompt.notifier()
    assert (last.id, state_of(last)) == (first.id, "terminated;reason=timeout")


@pytest.mark.rfc("PA-009")
def test_a_proxys_word_for_its_silence_is_no_end_either(prompt: World) -> None:
    (first,) = prompt.subscribe(user_agent=SPA).sent
    other = prompt.subscribe(CAROL, user_agent=TWINKLE).sent[0]
    assert prompt.notifier(Answer(first.id, 1, 408), Answer(other.id, 1, 408)) == []
    assert (prompt.has_subscription(first.id), prompt.has_subscription(other.id)) == (True, False)
    prompt.publish()
    assert [each.cseq for each in prompt.notifier()] == [2]


def test_the_last_notify_is_the_last_whatever_a_proxy_says(prompt: World) -> None:
    dialog = prompt.watch(user_agent=SPA)
    prompt.refresh(dialog, user_agent=SPA, expires="0")
    (last,) = prompt.notifier()
    assert prompt.answer(last, 408) == []
    assert not prompt.has_subscription(dialog)


@pytest.mark.rfc("PA-007")
def test_a_spa_that_says_no_is_believed(prompt: World) -> None:
    (first,) = prompt.subscribe(user_agent=SPA).sent
    prompt.answer(first, 481)
    assert not prompt.has_subscription(first.id)


@pytest.mark.rfc("PA-009")
@pytest.mark.parametrize("user_agent", [each for each in CLIENTS if each != SPA])
def test_silence_of_all_others_ends_the_subscription(prompt: World, user_agent: str) -> None:
    (first,) = prompt.subscribe(user_agent=user_agent).sent
    prompt.now += TIMER_F + GRACE
    assert prompt.notifier() == []
    assert not prompt.has_subscription(first.id)


@pytest.mark.rfc("PA-009")
def test_switched_off_a_silent_spa_is_gone(prompt: World) -> None:
    prompt.set(client_profiles=0)
    (first,) = prompt.subscribe(user_agent=SPA).sent
    prompt.now += TIMER_F + GRACE
    assert prompt.notifier() == []
    assert not prompt.has_subscription(first.id)


def test_when_silence_is_ignored_the_last_notify_is_still_the_last(prompt: World) -> None:
    prompt.set(ignore_408_on_notify=1)
    dialog = prompt.watch(user_agent=TWINKLE)
    prompt.refresh(dialog, expires="0")
    assert [state_of(each) for each in prompt.notifier()] == ["terminated;reason=timeout"]
    prompt.now += TIMER_F + GRACE
    assert prompt.notifier() == []
    assert not prompt.has_subscription(dialog)


# Size


def lines_about_size(effects: list[Effect]) -> list[str]:
    return [each.text for each in effects if isinstance(each, Log) and "too large" in each.text]


@pytest.mark.parametrize(("user_agent", "count"), [(PJSUA, 1), (TWINKLE, 0), (JITSI, 0)])
def test_a_notify_that_its_client_drops_is_told_to_the_operator_and_sent_whole(prompt: World, user_agent: str, count: int) -> None:
    note = "ü" * 2000
    tag = prompt.publish(pidf("t1", note=note)).tag
    done = prompt.subscribe(user_agent=user_agent)
    (first,) = done.sent
    assert note in first.body
    assert len(lines_about_size(done.effects)) == count
    prompt.answer(first)
    prompt.publish(pidf("t2", note=note), tag)
    effects, _ = notify.notify(prompt.moment, [], set())
    (told,) = (each for each in effects if isinstance(each, SendRequest))
    lines = lines_about_size(effects)
    assert len(lines) == count
    for line in lines:
        assert re.search(r"octets=(\d+) most=4000 ", line)
        assert int(re.findall(r"octets=(\d+)", line)[0]) > len(told.headers) + len(told.body.encode()) > 4000


def test_of_a_notify_that_fits_nothing_is_told(prompt: World) -> None:
    prompt.publish(pidf("t1", note="x" * 2000))
    assert lines_about_size(prompt.subscribe(user_agent=PJSUA).effects) == []
