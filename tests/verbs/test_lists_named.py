"""Display names of the list itself (RFC 4662 section 5.4, RFC 4826 section 3.1)."""

import pytest

from kemi.rls import source
from tests.unit.values import ALICE, BOB, CAROL
from tests.verbs.lists import ACCEPT, FRIENDS, Lists, Subscriber, entries, publish, services
from tests.verbs.test_lists_fetched import INDEX, OWN, Fetched
from tests.verbs.world import World, tag_of

NAME = '<display-name xml:lang="en">Friends &amp; &lt;more&gt;</display-name>'
TOLD = (("en", "Friends & <more>"),)
OTHER = "<display-name>Others</display-name>"
WORK = "sip:work@example.org"


def put(lists: Lists, name: str, *members: str) -> None:
    """Bob's list has this name, and these members."""
    lists.put_services((FRIENDS, name + entries(members)))


@pytest.mark.rfc("RLS-025")
def test_the_name_of_a_list_is_told_with_its_full_state(lists: Lists) -> None:
    put(lists, NAME, ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    assert subscriber.last is not None
    assert subscriber.last.names == TOLD
    publish(lists, ALICE, "here")
    (change,) = subscriber.told()
    assert (change.is_full, change.names) == (False, ())
    subscriber.refresh()
    assert [each.names for each in subscriber.told()] == [TOLD]


@pytest.mark.rfc("RLS-025", "RLS-027")
def test_other_names_are_told_when_the_list_has_them(lists: Lists) -> None:
    put(lists, NAME, ALICE)
    subscriber = lists.watch(ALICE)
    for name, names in ((OTHER, (("", "Others"),)), ("", ())):
        put(lists, name, ALICE)
        assert [each.names for each in subscriber.told()] == [names]


@pytest.mark.rfc("RLS-025", "RLS-020")
def test_a_list_in_a_list_has_names_of_its_own(lists: Lists) -> None:
    """Those of the entry are what the list around it calls it."""
    entry = f'<entry uri="{WORK}"><display-name>Those at work</display-name></entry>'
    lists.put_services((FRIENDS, f"{NAME}{entry}"), (WORK, f'<display-name>Work</display-name><entry uri="{ALICE}"/>'))
    subscriber = lists.watch(WORK)
    assert subscriber.last is not None
    nested = subscriber.last.instance(WORK).body
    assert (subscriber.last.names, subscriber.last.of(WORK).names) == (TOLD, (("", "Those at work"),))
    assert nested.names == (("", "Work"),)  # type: ignore[union-attr]


@pytest.mark.rfc("RLS-025")
def test_the_list_that_a_script_has_chosen_has_its_names(lists: Lists) -> None:
    lists.put_lists(f'<list name="friends">{NAME}<entry uri="{ALICE}"/></list>')
    chosen = source.Chosen(name="friends").as_text()
    accepted = lists.world.subscribe(BOB, BOB, chosen, supported="eventlist", accept=ACCEPT)
    subscriber = Subscriber(lists.world, lists.dialog(accepted), [ALICE])
    assert [each.names for each in subscriber.told()] == [TOLD]


@pytest.mark.rfc("RLS-025")
def test_names_in_several_languages_are_all_told(world: World) -> None:
    """Ours has one name for a list (RFC 4826 section 3.2); another XCAP server may have more."""
    fetched = Fetched(world)
    names = f'{NAME}<display-name xml:lang="de">Freunde</display-name>'
    fetched.comes(OWN, services((FRIENDS, names + entries([ALICE]))))
    fetched.comes(INDEX, None)
    subscriber = fetched.lists.watch(ALICE)
    assert subscriber.last is not None
    assert subscriber.last.names == (*TOLD, ("de", "Freunde"))


@pytest.mark.rfc("RLS-036")
def test_a_condition_stands_for_the_names_too(lists: Lists) -> None:
    put(lists, NAME, ALICE)
    subscriber = lists.watch(ALICE)
    before = tag_of(subscriber.requests[-1])
    assert subscriber.refresh(suppress=before).reply.status == 204
    put(lists, OTHER, ALICE)
    subscriber.told()
    assert tag_of(subscriber.requests[-1]) != before


def test_a_list_that_cannot_be_used_any_more_keeps_its_names(lists: Lists) -> None:
    put(lists, NAME, ALICE)
    subscriber = lists.watch(ALICE)
    lists.world.set_lists(max_members=1)
    put(lists, OTHER, ALICE, CAROL)
    subscriber.told()
    subscriber.refresh()
    subscriber.told()
    assert subscriber.last is not None
    assert (subscriber.last.names, subscriber.last.uris) == (TOLD, [ALICE])


def test_nothing_is_left_of_names_when_the_list_ends(lists: Lists) -> None:
    lists.put_services((FRIENDS, f'{NAME}<entry uri="{WORK}"/>'), (WORK, NAME))
    subscriber = lists.watch(WORK)
    ids = [(subscriber.dialog,), (f"{subscriber.dialog}-1",)]
    assert len(lists.world.database.execute("list_names", {}, ids).rows()) == 2
    lists.world.now += 1
    subscriber.refresh(expires="0")
    subscriber.told()
    assert lists.world.database.execute("list_names", {}, ids).rows() == []
