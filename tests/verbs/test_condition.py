"""Conditional notification on the database: SIP-ETag and Suppress-If-Match (RFC 5839); kemi/news.py, kemi/refresh.py."""

from collections.abc import Callable
from typing import Any

import pytest

from kemi import reauthorize
from kemi.effects import SendRequest, Wake
from kemi.errors import BadRequest
from kemi.event_package import Decision
from kemi.presence.formats import PRODUCES
from tests.unit.values import ALICE, BOB, CAROL, SUBSCRIBE, fields_of, pidf
from tests.verbs.watched import WINFO, Watched
from tests.verbs.world import World, state_of, tag_of


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    """NOTIFYs are not held back; alice has published."""
    world = connect(notify_interval=0).empty()
    world.publish(pidf("t1", note="A"), expires="3600")
    return world


def has_body(request: SendRequest) -> bool:
    assert bool(request.body) == ("Content-Type" in fields_of(request.headers))
    return bool(request.body)


def watch(world: World, watcher: str = BOB, **changes: Any) -> tuple[str, str]:
    """A subscription whose first NOTIFY is answered; its dialog and the entity-tag it knows."""
    (first,) = world.subscribe(watcher, **changes).sent
    assert world.answer(first) == []
    return first.id, tag_of(first)


def change(world: World, note: str) -> None:
    """Alice publishes another document, or the same again."""
    (known,) = world.publications()
    world.publish(pidf("t1", note=note), known.etag, expires="3600")


# Entity-tags


@pytest.mark.rfc("PA-041")
def test_every_notify_has_an_entity_tag(world: World) -> None:
    dialog, _ = watch(world)
    change(world, "B")
    told = world.told()
    world.refresh(dialog, expires="0")
    told += world.told()
    told += world.subscribe(expires="0").sent
    world.decide(Decision.CONFIRM)
    told += world.subscribe(CAROL).sent
    assert [state_of(each).partition(";")[0] for each in told] == ["active", "terminated", "terminated", "pending"]
    tags = [tag_of(each) for each in told]
    assert "*" not in tags
    assert tags[0] == tags[1] == tags[2] != tags[3]


@pytest.mark.rfc("PA-041", "PA-047")
def test_the_same_document_has_the_same_tag_for_everybody_and_another_one_another(world: World) -> None:
    _, bobs = watch(world, BOB)
    _, carols = watch(world, CAROL, expires="60")
    change(world, "B")
    other = {tag_of(each) for each in world.told()}
    change(world, "A")
    again = {tag_of(each) for each in world.told()}
    assert {bobs} == {carols} == again
    assert len(other) == 1
    assert other != again


@pytest.mark.rfc("PA-041", "PA-047")
def test_every_type_has_its_own_tag(world: World) -> None:
    tags = [tag_of(*world.subscribe(accept=each).sent) for each in PRODUCES]
    assert len(set(tags)) == len(PRODUCES) > 1


@pytest.mark.rfc("PA-041")
def test_the_address_that_was_asked_for_is_part_of_the_document(world: World) -> None:
    assert tag_of(*world.subscribe().sent) != tag_of(*world.subscribe(uri="pres:alice@example.org").sent)


@pytest.mark.rfc("PA-047")
def test_with_partial_documents_the_tag_names_the_whole_state(world: World) -> None:
    """Who knows it from a full document and who from several partial ones have the same tag."""
    watched = Watched(world)
    (first,) = world.subscribe(ALICE, event=WINFO).sent
    watched.flow([first])
    (bobs,) = world.subscribe(BOB).sent
    (partial,) = (each for each in world.answer(bobs) if each.id == first.id)
    (full,) = world.subscribe(ALICE, event=WINFO).sent
    assert 'state="partial"' in partial.body
    assert 'state="full"' in full.body
    assert tag_of(first) != tag_of(partial) == tag_of(full)


# A refresh with a condition


@pytest.mark.rfc("PA-042")
@pytest.mark.parametrize("condition", ["known", "*"])
def test_a_refresh_by_who_knows_is_answered_204_and_told_nothing(world: World, condition: str) -> None:
    dialog, known = watch(world, expires="600")
    world.now += 300
    done = world.refresh(dialog, suppress=known if condition == "known" else condition, expires="500")
    assert (done.reply.status, done.reply.reason, done.header("Expires")) == (204, "No Notification", "500")
    assert not any(isinstance(each, Wake | SendRequest) for each in done.effects)
    assert world.notifier() == []
    world.now += 499
    assert world.tick() == []
    assert world.notifier() == []
    world.now += 1
    (last,) = world.told()
    assert (state_of(last), has_body(last), tag_of(last)) == ("terminated;reason=timeout", False, known)


@pytest.mark.rfc("PA-042")
def test_the_next_change_is_told_and_then_all_is_as_ever(world: World) -> None:
    dialog, known = watch(world)
    world.refresh(dialog, suppress=known)
    for note in ("B", "A", "B"):
        change(world, note)
        (told,) = world.told()
        assert (has_body(told), f">{note}<" in told.body) == (True, True)


@pytest.mark.rfc("PA-042")
def test_there_and_back_again_before_it_was_told_is_no_change(world: World) -> None:
    world.set(notify_interval=5)
    dialog, known = watch(world)
    world.refresh(dialog, suppress=known)
    change(world, "B")
    change(world, "A")
    world.now += 5
    assert world.notifier() == []
    change(world, "B")
    assert [tag_of(each) == known for each in world.told()] == [False]


@pytest.mark.rfc("PA-042", "PA-034")
def test_a_change_that_is_none_is_not_told_while_the_condition_holds(world: World) -> None:
    dialog, known = watch(world)
    world.refresh(dialog, suppress=known)
    change(world, "A")
    assert world.notifier() == []


@pytest.mark.rfc("PA-042")
@pytest.mark.parametrize("expires", ["600", "0"])
def test_who_knows_something_else_is_told_as_ever(world: World, expires: str) -> None:
    dialog, known = watch(world)
    change(world, "B")
    world.told()
    done = world.refresh(dialog, suppress=known, expires=expires)
    assert done.reply.status == 200
    (told,) = world.told()
    assert ">B<" in told.body
    assert tag_of(told) != known


def test_a_condition_that_is_true_again_when_the_notifier_comes_is_told_without_body(world: World) -> None:
    dialog, known = watch(world)
    change(world, "B")
    world.refresh(dialog, suppress=known)
    change(world, "A")
    (told,) = world.told()
    assert (has_body(told), tag_of(told)) == (False, known)


@pytest.mark.rfc("PA-042")
def test_a_condition_is_for_one_refresh(world: World) -> None:
    dialog, known = watch(world)
    world.refresh(dialog, suppress=known)
    world.refresh(dialog)
    (told,) = world.told()
    assert (has_body(told), tag_of(told)) == (True, known)


@pytest.mark.rfc("TRN-009", "PA-042")
def test_the_same_refresh_again_is_answered_204_again(world: World) -> None:
    dialog, known = watch(world)
    first = world.refresh(dialog, suppress=known, cseq=5)
    again = world.refresh(dialog, suppress=known, cseq=5, branch="z9hG4bK1-r")
    assert (first.reply.status, again.reply.status) == (204, 204)
    assert world.notifier() == []


@pytest.mark.rfc("TRN-009", "PA-042")
def test_the_same_refresh_again_by_who_knew_something_else_is_answered_200_again(world: World) -> None:
    dialog, known = watch(world)
    change(world, "B")
    for _ in range(2):
        assert world.refresh(dialog, suppress=known, cseq=5, branch="z9hG4bK1-r").reply.status == 200
    assert len(world.told()) == 1


@pytest.mark.rfc("PA-044", "TRN-025")
def test_an_asterisk_holds_also_for_what_is_on_its_way(world: World) -> None:
    (first,) = world.subscribe().sent
    assert world.refresh(first.id, suppress="*").reply.status == 204
    assert world.answer(first) == []


@pytest.mark.rfc("PA-042", "TRN-025")
def test_what_is_on_its_way_is_known(world: World) -> None:
    """The watcher has the NOTIFY already, the server has not its answer."""
    (first,) = world.subscribe().sent
    done = world.refresh(first.id, suppress=tag_of(first))
    assert done.reply.status == 204
    assert world.answer(first) == []
    assert world.subscription(first.id).next_at == world.subscription(first.id).expires_at


@pytest.mark.rfc("TRN-025")
def test_what_is_on_its_way_replaces_what_is_known(world: World) -> None:
    """The watcher said that it has A; B was sent to it before, then alice went back to A: it would be left with B."""
    dialog, known = watch(world)
    change(world, "B")
    (crossing,) = world.notifier()
    change(world, "A")
    assert world.refresh(dialog, suppress=known).reply.status == 200
    (told,) = world.answer(crossing)
    assert (">A<" in told.body, tag_of(told)) == (True, known)


@pytest.mark.parametrize("condition", ["a, b", '"a"', "a b", "a;b"])
def test_a_condition_is_exactly_one_entity_tag(world: World, condition: str) -> None:
    dialog, _ = watch(world)
    before = world.subscription(dialog)
    with pytest.raises(BadRequest):
        world.refresh(dialog, suppress=condition)
    assert world.subscription(dialog) == before


# Always true


@pytest.mark.rfc("PA-044")
def test_with_an_asterisk_no_change_is_told(world: World) -> None:
    dialog, _ = watch(world)
    world.refresh(dialog, suppress="*")
    for note in ("B", "C"):
        change(world, note)
        assert world.notifier() == []
    kept = world.subscription(dialog)
    assert (kept.due_at, kept.next_at) == (None, kept.expires_at)
    world.refresh(dialog)
    (told,) = world.told()
    assert ">C<" in told.body


@pytest.mark.rfc("PA-044", "PA-045")
def test_with_an_asterisk_only_the_state_is_told(world: World) -> None:
    dialog, _ = watch(world)
    world.refresh(dialog, suppress="*")
    world.decide(Decision.BLOCK)
    reauthorize.reauthorize(world.moment, "presence", ALICE)
    (last,) = world.told()
    assert (state_of(last), has_body(last)) == ("terminated;reason=rejected", False)


@pytest.mark.rfc("PA-044", "PA-043")
def test_with_an_asterisk_a_new_subscription_gets_a_notify_without_body(world: World) -> None:
    _, known = watch(world)
    (first,) = world.subscribe(suppress="*").sent
    assert (has_body(first), tag_of(first)) == (False, known)
    world.answer(first)
    change(world, "B")
    assert first.id not in {each.id for each in world.told()}


# Outside of a dialog


@pytest.mark.rfc("PA-043")
@pytest.mark.parametrize(("expires", "state"), [("600", "active;expires=600"), ("0", "terminated;reason=timeout")])
def test_a_new_subscription_of_who_knows_is_answered_200_and_told_without_body(world: World, expires: str, state: str) -> None:
    _, known = watch(world)
    done = world.subscribe(suppress=known, expires=expires)
    assert done.reply.status == 200
    (first,) = done.sent
    assert (state_of(first), has_body(first), tag_of(first)) == (state, False, known)
    world.answer(first)
    if expires == "600":
        change(world, "B")
        (told,) = (each for each in world.told() if each.id == first.id)
        assert ">B<" in told.body


@pytest.mark.rfc("PA-043")
def test_a_new_subscription_of_who_knows_something_else_is_told_all(world: World) -> None:
    (first,) = world.subscribe(suppress="something").sent
    assert has_body(first)


@pytest.mark.rfc("PA-043", "TRN-009")
def test_the_same_new_subscribe_again_gets_the_same_200(world: World) -> None:
    _, known = watch(world)
    request = SUBSCRIBE._replace(suppress=known)
    first = world.subscribe_request(request)
    again = world.subscribe_request(request)
    assert (again.reply, again.reply.status) == (first.reply, 200)


# Leaving


@pytest.mark.rfc("PA-046")
@pytest.mark.parametrize("condition", ["known", "*"])
def test_who_knows_leaves_without_a_notify(world: World, condition: str) -> None:
    dialog, known = watch(world)
    done = world.refresh(dialog, expires="0", suppress=known if condition == "known" else "*")
    assert (done.reply.status, done.header("Expires")) == (204, "0")
    assert not world.has_subscription(dialog)
    assert world.notifier() == []


@pytest.mark.rfc("PA-046", "TRN-025")
def test_who_knows_leaves_also_while_a_notify_is_in_flight(world: World) -> None:
    (first,) = world.subscribe().sent
    assert world.refresh(first.id, expires="0", suppress=tag_of(first)).reply.status == 204
    assert world.answer(first) == []
    assert not world.has_subscription(first.id)


@pytest.mark.rfc("PA-046", "WINFO-015")
def test_who_leaves_without_a_notify_is_told_of_to_who_watches_the_watchers(world: World) -> None:
    watched = Watched(world)
    dialog, known = watch(world)
    alice = watched.winfo()
    watched.news(alice)
    watched.refresh(dialog, expires="0", suppress=known)
    assert watched.told(alice).entries == [(BOB, "terminated", "timeout")]


# Changes of state


@pytest.mark.rfc("PA-045")
def test_who_is_allowed_and_knows_the_document_is_told_the_state_alone(world: World) -> None:
    _, known = watch(world)
    world.decide(Decision.CONFIRM)
    dialog, nothing = watch(world, CAROL)
    assert nothing != known
    world.decide(Decision.ALLOW)
    done = world.refresh(dialog, suppress=known)
    assert done.reply.status == 200
    (told,) = world.told()
    assert (state_of(told), has_body(told), tag_of(told)) == ("active;expires=600", False, known)
    change(world, "B")
    assert all(">B<" in each.body for each in world.told())


@pytest.mark.rfc("PA-045", "PA-024")
def test_who_waits_for_a_decision_and_says_so_is_told_of_it(world: World) -> None:
    world.decide(Decision.CONFIRM)
    dialog, nothing = watch(world)
    assert world.refresh(dialog, suppress=nothing).reply.status == 204
    world.decide(Decision.ALLOW)
    reauthorize.reauthorize(world.moment, "presence", ALICE)
    (told,) = world.told()
    assert (state_of(told), has_body(told)) == ("active;expires=600", True)


@pytest.mark.rfc("PA-045", "PA-012")
def test_nobody_learns_by_a_condition_what_it_may_not_see(world: World) -> None:
    """Not even whether it is this document: the tag of the NOTIFY is that of none."""
    _, known = watch(world)
    world.decide(Decision.CONFIRM)
    (first,) = world.subscribe(CAROL, suppress=known).sent
    assert tag_of(first) != known
    world.answer(first)
    assert world.refresh(first.id, suppress=known).reply.status == 200
