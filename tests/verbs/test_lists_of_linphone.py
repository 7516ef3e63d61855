"""What Linphone before 5.4 is told of lists: its profile changes the words, not what they say."""

from tests.unit.values import ALICE, CAROL, fields_of, pidf
from tests.verbs.lists import FRIENDS, Lists, Subscriber, entries

LINPHONE = {"user_agent": "Linphonec/5.1.65"}
WORK = "sip:work@example.org"
ACTIVE = ("active", None)


def watch(lists: Lists, *members: str, is_linphone: bool = True) -> Subscriber:
    """A subscription of Linphone's, which names the package in small letters; the first NOTIFY is told."""
    subscriber = Subscriber(lists.world, lists.dialog(lists.subscribe(**LINPHONE)), members, is_linphone=is_linphone)
    assert len(subscriber.told()) == 1
    return subscriber


def event_of(subscriber: Subscriber) -> list[str]:
    return fields_of(subscriber.requests[-1].headers)["Event"]


def test_notifies_of_lists_name_the_package_with_a_capital(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = watch(lists, ALICE)
    assert event_of(subscriber) == ["Presence"]
    subscriber.refresh(**LINPHONE)
    subscriber.told()
    assert event_of(subscriber) == ["Presence"]


def test_notifies_of_single_resources_name_it_as_it_came(lists: Lists) -> None:
    (first,) = lists.world.subscribe(**LINPHONE).sent
    assert fields_of(first.headers)["Event"] == ["presence"]


def test_a_list_in_a_list_is_named_only(lists: Lists) -> None:
    lists.put_services((FRIENDS, entries([ALICE, WORK])), (WORK, entries([CAROL])))
    subscriber = watch(lists, ALICE, WORK)
    assert subscriber.said() == {ALICE: ACTIVE}
    lists.world.publish(pidf("t1", note="here"), presentity=CAROL)
    lists.world.publish(pidf("t1", note="here"))
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}
    assert "multipart/related" not in subscriber.requests[-1].body


def test_switched_off_its_lists_are_as_all_others(lists: Lists) -> None:
    lists.world.set(client_profiles=0)
    lists.put(ALICE)
    assert event_of(watch(lists, ALICE, is_linphone=False)) == ["presence"]
