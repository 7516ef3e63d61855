"""Where lists come from, and who is in them: kemi/rls/source.py and members.py on the database (RFC 4826 section 4.5)."""

from dataclasses import replace
from html import escape

import pytest

from kemi.errors import BadEvent, Forbidden, NotFound, SipError
from kemi.packages import served
from kemi.rls import source
from tests.unit.values import ALICE, BOB, CAROL, pidf
from tests.verbs.lists import FRIENDS, Lists, Subscriber, entries, user

ACTIVE, NORESOURCE = ("active", None), ("terminated", "noresource")
WORK = "sip:work@example.org"
HOME = "http://xcap.example.org/xcap-root/resource-lists/users"


def named(uri: str, name: str, language: str = "") -> str:
    """An entry with a display name."""
    attribute = f' xml:lang="{language}"' if language else ""
    return f'<entry uri="{uri}"><display-name{attribute}>{escape(name)}</display-name></entry>'


def names_of(subscriber: Subscriber, uri: str) -> tuple[tuple[str, str], ...]:
    assert subscriber.last is not None
    return subscriber.last.of(uri).names


# Services


@pytest.mark.rfc("RLS-016")
@pytest.mark.parametrize("uri", [
    "sip:friends@EXAMPLE.org", "sip:%66riends@example.org", "sip:friends@example.org:5060",
    "sip:friends@example.org;user=ip;transport=tcp", "sip:friends@example.org?subject=x", "pres:friends@example.org",
])  # fmt: skip
def test_a_service_is_found_by_any_form_of_its_uri(lists: Lists, uri: str) -> None:
    lists.put(ALICE, uri="sip:fr%69ends@Example.org;transport=udp")
    accepted = lists.world.subscribe(BOB, FRIENDS, uri=uri, supported="eventlist", accept="*/*")
    assert lists.dialog(accepted).startswith("kp-list-")


@pytest.mark.rfc("RLS-017", "RLS-009")
@pytest.mark.parametrize(
    "uri", ["sip:friend@example.org", "sip:friends2@example.org", "sip:Friends@example.org", "sip:friends@example.com"]
)
def test_a_uri_that_is_no_service_is_a_presentity(lists: Lists, uri: str) -> None:
    """Whatever it begins with, and though the client knows lists."""
    lists.put(ALICE)
    (first,) = lists.subscribe(uri=uri).sent
    assert "application/pidf+xml" in first.headers


@pytest.mark.rfc("RLS-012", "PA-037")
def test_a_service_may_be_for_other_packages(lists: Lists) -> None:
    lists.world.packages = served(lists.world.settings)
    lists.put(ALICE, packages="<packages><package>dialog</package><package>unknown</package></packages>")
    with pytest.raises(BadEvent) as refused:
        lists.subscribe()
    assert refused.value.headers == (("Allow-Events", "dialog"),)


@pytest.mark.rfc("RLS-012")
def test_a_service_without_packages_is_for_all(lists: Lists) -> None:
    lists.world.packages = served(lists.world.settings)
    lists.put(ALICE)
    for event in ("presence", "dialog", "message-summary"):
        assert lists.subscribe(event=event, accept="*/*").reply.status == 200


@pytest.mark.rfc("RLS-011")
@pytest.mark.parametrize(("auth", "is_let"), [("owner", False), ("implicit", True), ("none", True)])
def test_who_may_watch_a_list(lists: Lists, auth: str, is_let: bool) -> None:
    lists.world.set_lists(auth=auth)
    lists.put(ALICE)
    if is_let:
        assert lists.watch(ALICE, watcher=CAROL).said() == {ALICE: ACTIVE}
        return
    with pytest.raises(Forbidden):
        lists.subscribe(CAROL)


# Members


@pytest.mark.rfc("RLS-009")
def test_a_member_whose_uri_begins_as_anothers_has_its_own_document(lists: Lists) -> None:
    short, longer = "sip:al@example.org", "sip:al@example.org.example.com"
    lists.world.publish(pidf("t1", note="long"), presentity=ALICE)
    lists.put(short, ALICE, longer)
    subscriber = lists.watch(short, ALICE, longer)
    assert subscriber.last is not None
    assert b"long" in subscriber.last.instance(ALICE).body
    assert b"long" not in subscriber.last.instance(short).body
    assert subscriber.said()[longer] == NORESOURCE


@pytest.mark.rfc("RLS-013")
def test_a_resource_is_a_member_once(lists: Lists) -> None:
    twice = "sip:alice@EXAMPLE.org"
    lists.put(ALICE, CAROL, twice, "sips:carol@example.org", "tel:+4930", "mailto:alice@example.org", "sip:Alice@example.org")
    assert lists.watch().last.uris == [ALICE, CAROL, "sip:Alice@example.org"]  # type: ignore[union-attr]


@pytest.mark.rfc("RLS-025")
def test_display_names_are_told_with_their_languages(lists: Lists) -> None:
    lists.put(BOB, content=named(ALICE, 'Alice & "Sohn" <3', "de") + named(CAROL, "Κάρολος"))
    subscriber = lists.watch(ALICE, BOB, CAROL)
    assert names_of(subscriber, ALICE) == (("de", 'Alice & "Sohn" <3'),)
    assert names_of(subscriber, CAROL) == (("", "Κάρολος"),)
    assert names_of(subscriber, BOB) == ()
    lists.world.publish()
    subscriber.told()
    assert names_of(subscriber, ALICE) == (("de", 'Alice & "Sohn" <3'),)


@pytest.mark.rfc("RLS-025", "RLS-020")
def test_a_list_in_a_list_may_have_names(lists: Lists) -> None:
    lists.put_services((FRIENDS, named(WORK, "Work", "en")), (WORK, entries([CAROL])))
    subscriber = lists.watch(WORK)
    assert names_of(subscriber, WORK) == (("en", "Work"),)
    assert subscriber.last.instance(WORK).body.uris == [CAROL]  # type: ignore[union-attr]


@pytest.mark.rfc("RLS-027", "RLS-025")
def test_another_name_is_told(lists: Lists) -> None:
    lists.put(content=named(ALICE, "Alice"))
    subscriber = lists.watch(ALICE)
    lists.put(content=named(ALICE, "Alicia"))
    assert [told.is_full for told in subscriber.told()] == [True]
    assert names_of(subscriber, ALICE) == (("", "Alicia"),)


# Limits


def test_a_list_of_too_many_entries_is_refused(lists: Lists) -> None:
    lists.world.set_lists(max_members=3)
    lists.put(*map(user, range(3)))
    assert len(lists.watch().said()) == 3
    lists.put(*map(user, range(4)))
    with pytest.raises(SipError) as refused:
        lists.subscribe()
    assert refused.value.status == 403


def test_a_list_that_grows_too_long_stays_as_it_was(lists: Lists) -> None:
    lists.world.set_lists(max_members=2)
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    lists.put(ALICE, CAROL, user(1))
    subscriber.told()
    lists.world.publish()
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE, CAROL: ACTIVE}
    lists.put(ALICE, user(1))
    subscriber.reader.members = None
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE, CAROL: NORESOURCE, user(1): ACTIVE}


def test_a_brought_list_of_too_many_entries_is_refused(lists: Lists) -> None:
    lists.world.set_lists(max_members=2)
    with pytest.raises(SipError) as refused:
        bring(lists, *map(user, range(3)))
    assert refused.value.status == 403


@pytest.mark.rfc("RLS-021")
@pytest.mark.parametrize(("level", "depth"), [(0, 0), (1, 1), (2, 2), (20, 3)])
def test_how_deep_lists_may_stand_in_lists(lists: Lists, level: int, depth: int) -> None:
    lists.world.set_lists(max_list_nesting_level=level)
    one, two, three = (f"sip:list{number}@example.org" for number in (1, 2, 3))
    lists.put_services((FRIENDS, entries([one])), (one, entries([two])), (two, entries([three])), (three, entries([ALICE])))
    told = lists.watch(one).last
    assert told is not None
    entered = 0
    for uri in (one, two, three):
        instance = told.instance(uri)
        if isinstance(instance.body, bytes | None):
            assert instance.said == (ACTIVE if level == 0 else NORESOURCE)
            break
        told, entered = instance.body, entered + 1
    assert entered == depth


def test_a_list_of_somebody_elses_is_not_entered(lists: Lists) -> None:
    lists.put(CAROL, owner=CAROL, uri=WORK)
    lists.put(WORK)
    assert lists.watch(WORK).said() == {WORK: ("terminated", "rejected")}


def test_members_do_not_count_as_subscriptions_of_the_watcher(lists: Lists) -> None:
    lists.world.set(max_subscriptions=2)
    lists.put(*map(user, range(5)))
    lists.watch()
    lists.watch()
    with pytest.raises(SipError) as refused:
        lists.subscribe()
    assert refused.value.status == 503


# References


@pytest.mark.rfc("RLS-014", "RLS-015")
def test_references_lead_into_documents_of_the_same_user(lists: Lists) -> None:
    lists.put_lists(f'<list name="work">{entries([ALICE])}</list><list name="family">{entries([CAROL])}</list>')
    entry = f"resource-lists/users/{BOB}/index/~~/resource-lists/list%5B@name=%22work%22%5D/entry"
    anchor = f"{HOME}/{BOB}/index/~~/resource-lists/list%5B@name=%22family%22%5D"
    content = f'<entry-ref ref="{entry}"/><external anchor="{anchor}"/><entry uri="{user(1)}"/>'
    lists.put(content=content)
    subscriber = lists.watch()
    lists.put_lists(f'<list name="work">{entries([ALICE])}</list><list name="family">{entries([user(2)])}</list>')
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE, CAROL: NORESOURCE, user(2): ACTIVE, user(1): ACTIVE}


@pytest.mark.rfc("RLS-014")
def test_a_list_that_refers_to_itself_is_502(lists: Lists) -> None:
    anchor = f"{HOME}/{BOB}/index/~~/resource-lists/list%5B@name=%22loop%22%5D"
    lists.put_lists(f'<list name="loop"><entry uri="{ALICE}"/><external anchor="{anchor}"/></list>')
    lists.put(content=f'<external anchor="{anchor}"/>')
    with pytest.raises(SipError) as refused:
        lists.subscribe()
    assert refused.value.status == 502


@pytest.mark.rfc("RLS-015")
def test_what_cannot_be_found_is_left_out(lists: Lists) -> None:
    lists.put(ALICE, content=f'<entry-ref ref="resource-lists/users/{BOB}/index/~~/resource-lists/list/entry"/>')
    assert lists.watch(ALICE).said() == {ALICE: ACTIVE}


# Lists of the watcher's own document


@pytest.mark.parametrize(("name", "members"), [("work", [ALICE]), ("family", [CAROL, BOB]), ("", [ALICE, CAROL, BOB])])
def test_a_script_chooses_a_list_of_the_watchers_document(lists: Lists, name: str, members: list[str]) -> None:
    own_lists(lists)
    subscriber = lists.watch(*members, uri="sip:bob-list@example.org", chosen=source.Chosen(name=name).as_text())
    assert list(subscriber.said()) == members


def test_it_follows_the_document(lists: Lists) -> None:
    own_lists(lists)
    subscriber = lists.watch(uri="sip:bob-list@example.org", chosen=source.Chosen(name="work").as_text())
    lists.put_lists(f'<list name="work">{entries([CAROL])}</list>')
    subscriber.told()
    assert subscriber.said() == {ALICE: NORESOURCE, CAROL: ACTIVE}
    subscriber.refresh()
    subscriber.told()
    assert subscriber.said() == {CAROL: ACTIVE}
    lists.put_lists("")
    subscriber.told()
    assert subscriber.said() == {CAROL: NORESOURCE}
    assert subscriber.state == "terminated;reason=noresource"


def test_a_list_that_is_not_in_the_document_is_404(lists: Lists) -> None:
    own_lists(lists)
    with pytest.raises(NotFound):
        lists.subscribe(uri="sip:bob-list@example.org", chosen=source.Chosen(name="other").as_text())


def test_who_has_it_is_known(lists: Lists) -> None:
    own_lists(lists)
    world = lists.world
    has = [source.has_list(world.moment, who, "work") for who in (BOB, CAROL)]
    assert has == [True, False]


@pytest.mark.parametrize("template", ["$uid-list", "list-of-$uid", "$uid"])
def test_every_user_may_have_a_list_without_a_service(lists: Lists, template: str) -> None:
    lists.world.set_lists(simple_list=template)
    own_lists(lists)
    uri = f"sip:{template.replace('$uid', 'bob')}@example.org"
    assert list(lists.watch(uri=uri).said()) == [ALICE, CAROL, BOB]
    (first,) = lists.subscribe(CAROL, uri).sent
    assert "application/pidf+xml" in first.headers, "it is nobody else's list"


def test_a_list_without_a_document_is_empty(lists: Lists) -> None:
    lists.world.set_lists(simple_list="$uid-list")
    uri = "sip:bob-list@example.org"
    subscriber = lists.watch(uri=uri)
    assert subscriber.said() == {}
    lists.put_lists(entries_in_list(ALICE))
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}


def own_lists(lists: Lists) -> None:
    lists.put_lists(f'<list name="work">{entries([ALICE])}</list><list name="family">{entries([CAROL, BOB])}</list>')


def entries_in_list(*uris: str) -> str:
    return f"<list>{entries(uris)}</list>"


# A list that the SUBSCRIBE brings


def bring(lists: Lists, *uris: str) -> Subscriber:
    body = f'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">{entries_in_list(*uris)}</resource-lists>'
    more = {"content_type": "application/resource-lists+xml", "content_disposition": "recipient-list", "body": body.encode()}
    return lists.watch(*uris, uri="sip:lists@example.org", require="recipient-list-subscribe", **more)


@pytest.mark.rfc("RLS-038", "RLS-040")
def test_a_brought_list_stays_what_it_was(lists: Lists) -> None:
    subscriber = bring(lists, ALICE, CAROL)
    subscriber.refresh(require="recipient-list-subscribe")
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE, CAROL: ACTIVE}
    with pytest.raises(SipError) as refused:
        subscriber.refresh(content_type="application/resource-lists+xml", body=b"<resource-lists/>")
    assert refused.value.status == 415
    lists.world.publish(presentity=CAROL)
    assert [told.uris for told in subscriber.told()] == [[CAROL]]


@pytest.mark.rfc("RLS-038")
def test_a_brought_list_may_name_lists(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = bring(lists, FRIENDS, CAROL)
    assert subscriber.last.instance(FRIENDS).body.uris == [ALICE]  # type: ignore[union-attr]


def test_settings_that_change_count_at_the_next_refresh(lists: Lists) -> None:
    """As `pa.presentities`: who has no password is nobody then."""
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    lists.world.settings = replace(lists.world.settings, pa=replace(lists.world.settings.pa, presentities="subscriber"))
    subscriber.refresh()
    subscriber.told()
    assert subscriber.said() == {ALICE: NORESOURCE}
