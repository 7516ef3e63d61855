"""Registered contacts as presence: bindings stored, shown, told, ended (kemi/presence/registrar.py)."""

from collections.abc import Callable, Sequence

import pytest
from lxml import etree

from kemi.binding import Binding
from kemi.database import Unavailable
from kemi.effects import Effect, Log, Wake
from kemi.errors import ConditionalRequestFailed
from kemi.moment import Moment
from kemi.presence import location, registrar
from kemi.presence.pidf import PIDF
from tests.unit.values import ALICE, BOB, CAROL, NOW, pidf
from tests.verbs.world import SECRET, World

HOME, OFFICE = "sip:alice@192.0.2.10:5060", "sip:alice@192.0.2.11:5060;transport=tcp"
CONNECTION = "sip:192.0.2.11:41000;transport=tcp"


def binding(contact: str = HOME, lifetime: float = 600, now: float = NOW, **changes: object) -> Binding:
    found = Binding(
        ruid=f"uloc-{contact}", username="alice", domain="example.org", contact=contact, received="", expires=int(now + lifetime),
        q=-1.0, callid="call-1", cseq=1, user_agent="test", socket="udp:192.0.2.1:5060", methods=None, instance=None, reg_id=0,
    )  # fmt: skip
    return found._replace(**changes)  # type: ignore[arg-type]


def register(world: World, *bindings: Binding, presentity: str = ALICE) -> list[Effect]:
    """A change after which these are all bindings."""
    return synchronize(world, lambda: bindings, presentity)


def synchronize(world: World, change: Callable[[], Sequence[Binding]], presentity: str = ALICE) -> list[Effect]:
    return registrar.synchronize(world.moment, SECRET, presentity, change)


def reconcile(world: World) -> list[Effect]:
    return registrar.reconcile(world.moment, SECRET)


def told(world: World, dialog: str) -> etree._Element:
    """The document of the one NOTIFY that goes out now; it is answered."""
    (request,) = world.notifier()
    assert request.id == dialog
    assert world.answer(request) == []
    return etree.fromstring(request.body.encode())


def contacts(document: etree._Element) -> list[tuple[str, str]]:
    """(basic, contact) of each tuple."""
    found = document.findall(f"{{{PIDF}}}tuple")
    return [(each.findtext(f".//{{{PIDF}}}basic") or "", each.findtext(f"{{{PIDF}}}contact") or "") for each in found]


@pytest.fixture
def quick(world: World) -> World:
    """No NOTIFY is held back."""
    world.set(notify_interval=0)
    return world


def test_a_registered_contact_is_an_open_tuple(quick: World) -> None:
    bob = quick.watch()
    effects = register(quick, binding())
    assert [type(effect) for effect in effects] == [Wake, Log]
    assert contacts(told(quick, bob)) == [("open", HOME)]


@pytest.mark.parametrize(("percentage", "priority"), [(0, "0"), (7, "0.07"), (50, "0.5"), (100, "1")])
def test_its_priority_is_that_of_the_parameter(quick: World, percentage: int, priority: str) -> None:
    quick.set(default_priority_percentage=percentage)
    bob = quick.watch()
    register(quick, binding(q=0.3))
    (contact,) = told(quick, bob).iter(f"{{{PIDF}}}contact")
    assert contact.get("priority") == priority


def test_a_first_notify_shows_what_is_registered(quick: World) -> None:
    register(quick, binding())
    (first,) = quick.subscribe().sent
    assert contacts(etree.fromstring(first.body.encode())) == [("open", HOME)]


def test_an_unregistered_contact_is_gone(quick: World) -> None:
    bob = quick.watch()
    register(quick, binding(HOME), binding(OFFICE))
    assert sorted(contacts(told(quick, bob))) == [("open", HOME), ("open", OFFICE)]
    register(quick, binding(OFFICE))
    assert contacts(told(quick, bob)) == [("open", OFFICE)]
    register(quick)
    assert [basic for basic, _ in contacts(told(quick, bob))] == ["closed"]
    assert quick.publications() == []
    assert location.load(quick.database, ALICE) == []


def test_a_refresh_moves_the_lifetime_and_is_not_told(quick: World) -> None:
    quick.watch()
    register(quick, binding())
    quick.notifier()
    (before,) = quick.publications()
    quick.now += 300
    refreshed = binding(now=quick.now, callid="call-9", cseq=5)
    assert register(quick, refreshed) == []
    (after,) = quick.publications()
    assert after == before._replace(expires_at=quick.now + 600)
    assert quick.notifier() == []
    assert location.load(quick.database, ALICE) == [refreshed]


def test_a_refresh_after_unregistering_is_a_new_tuple_of_the_same_id(quick: World) -> None:
    bob = quick.watch()
    ids = []
    for _ in range(2):
        register(quick, binding())
        ids.append(told(quick, bob).find(f"{{{PIDF}}}tuple").get("id"))  # type: ignore[union-attr]
        register(quick)
        told(quick, bob)
    assert len(set(ids)) == 1


def test_an_expired_binding_is_gone_with_the_next_sweep(quick: World) -> None:
    bob = quick.watch()
    register(quick, binding(lifetime=60))
    told(quick, bob)
    quick.now += 60
    quick.expire()
    assert [basic for basic, _ in contacts(told(quick, bob))] == ["closed"]
    registrar.forget(quick.database, quick.now)
    assert location.load(quick.database, ALICE) == []


def test_what_has_expired_in_memory_is_not_stored(quick: World) -> None:
    register(quick, binding(OFFICE), binding(HOME, lifetime=0))
    assert [each.contact for each in location.load(quick.database, ALICE)] == [OFFICE]


def test_every_column_comes_back(quick: World) -> None:
    full = binding(
        received=CONNECTION, q=0.7, callid="a@b", cseq=2**31 - 1, user_agent='x "y"', socket="tcp:192.0.2.1:5060", methods=5535,
        instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>", reg_id=1,
    )  # fmt: skip
    plain = binding(OFFICE)
    register(quick, full, plain)
    assert set(location.load(quick.database, ALICE)) == {full, plain}


def test_published_and_registered_stand_side_by_side(quick: World) -> None:
    bob = quick.watch()
    quick.publish(pidf("t1", note="published"))
    told(quick, bob)
    quick.now += 1
    register(quick, binding())
    document = told(quick, bob)
    assert contacts(document) == [("open", ""), ("open", HOME)]
    assert document.findtext(f"{{{PIDF}}}note") == "published"


def test_registrations_do_not_use_up_publications(quick: World) -> None:
    quick.set(max_publications=1)
    register(quick, binding(HOME), binding(OFFICE))
    assert quick.publish().tag


def test_no_publish_changes_what_is_registered(quick: World) -> None:
    """Not even one that knows the tag."""
    register(quick, binding())
    (row,) = quick.publications()
    for expires in ("0", "600"):
        with pytest.raises(ConditionalRequestFailed):
            quick.publish(tag=row.etag, expires=expires)
    assert quick.publications() == [row]


def test_its_tuple_does_not_tell_the_tag(quick: World) -> None:
    register(quick, binding())
    (row,) = quick.publications()
    assert row.etag.encode() not in row.body


def test_tags_depend_on_the_installation(quick: World) -> None:
    register(quick, binding())
    (row,) = quick.publications()
    other = registrar.synchronize(Moment(quick.database, quick.settings, quick.packages, NOW), b"other", CAROL, lambda: [binding()])
    assert other
    (others,) = quick.publications(CAROL)
    assert row.etag != others.etag


def test_equal_contacts_are_one_tuple(quick: World) -> None:
    """Two registrations of one contact, as usrloc has them when their Call-ID counts."""
    register(quick, binding(ruid="one", lifetime=60), binding(ruid="two", lifetime=600))
    (row,) = quick.publications()
    assert row.expires_at == NOW + 600


def test_markup_in_a_contact_is_escaped(quick: World) -> None:
    bob = quick.watch()
    odd = "sip:a&b@192.0.2.1;x=%3C'"
    register(quick, binding(odd))
    assert contacts(told(quick, bob)) == [("open", odd)]


def test_switched_off_nothing_is_shown_and_all_is_stored(quick: World) -> None:
    quick.set(use_callbacks=0)
    quick.watch()
    assert register(quick, binding()) == []
    assert quick.publications() == []
    assert location.load(quick.database, ALICE) == [binding()]
    assert quick.notifier() == []


def test_switching_off_and_on_reaches_those_who_are_registered(quick: World) -> None:
    register(quick, binding())
    bob = quick.watch()
    quick.set(use_callbacks=0)
    assert reconcile(quick)
    assert [basic for basic, _ in contacts(told(quick, bob))] == ["closed"]
    quick.set(use_callbacks=1)
    assert reconcile(quick)
    assert contacts(told(quick, bob)) == [("open", HOME)]
    assert reconcile(quick) == []


def test_another_priority_reaches_those_who_are_registered(quick: World) -> None:
    register(quick, binding())
    bob = quick.watch()
    quick.set(default_priority_percentage=20)
    reconcile(quick)
    (contact,) = told(quick, bob).iter(f"{{{PIDF}}}contact")
    assert contact.get("priority") == "0.2"


def test_who_registered_over_a_connection(quick: World) -> None:
    register(quick, binding(received=CONNECTION), binding(OFFICE, received=CONNECTION))
    register(quick, binding(received="sip:192.0.2.99:1;transport=ws"), presentity=BOB)
    register(quick, binding(), presentity=CAROL)
    assert registrar.received_over(quick.database, [CONNECTION, "sip:192.0.2.7:7;transport=tls"]) == [ALICE]
    assert registrar.received_over(quick.database, []) == []


def test_the_presentity_is_locked_while_the_bindings_change(quick: World) -> None:
    """What another process stored before is seen: the last one writes what is true after both."""
    with quick.counted() as names:

        def change() -> list[Binding]:
            names.append("changed")
            return [binding()]

        synchronize(quick, change)
    assert names[:3] == ["lock", "registration_shown", "changed"]
    assert len(names) <= 7


def test_what_fails_leaves_everything_as_it_was(quick: World) -> None:
    register(quick, binding())
    before = quick.publications()

    def change() -> list[Binding]:
        raise Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        synchronize(quick, change)
    assert quick.publications() == before
    assert location.load(quick.database, ALICE) == [binding()]


def test_only_watchers_of_presence_are_told(quick: World) -> None:
    quick.serve(name="other")
    quick.subscribe(event="other")
    assert [type(effect) for effect in register(quick, binding())] == [Log]


def test_notifies_keep_their_interval(world: World) -> None:
    world.watch()
    assert register(world, binding())
    assert world.notifier() == []
    world.now += world.settings.pa.notify_interval
    assert len(world.notifier()) == 1
