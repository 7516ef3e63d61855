"""A list and all that it refers to become one flat list: kemi/rls/expansion.py."""

import pytest

from kemi.rls import expansion, service
from kemi.rls.expansion import BadGateway, CannotExpand, Expanded, Limits, ListTooLarge, way_into
from kemi.rls.resource_list import Member
from kemi.xcap import tree
from tests.unit.rls.lists import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    LIMITS,
    Library,
    anchor,
    entry,
    external,
    flat,
    listed,
    lists,
    parsed,
    path,
    place,
    reference,
    selector,
    services,
    uris,
)

LIST_1 = 'list[@name="list1"]'
ELSEWHERE = "http://xcap.example.net/lists"


def refused(kind: type[CannotExpand], library: Library, *inside: str, limits: Limits = LIMITS) -> CannotExpand:
    with pytest.raises(kind) as raised:
        flat(library, *inside, limits=limits)
    return raised.value


def linked(uri: str, library: Library, owner: str = ALICE) -> Expanded:
    return expansion.expand_link(uri, place(owner), library.read, LIMITS)


# Entries


@pytest.mark.rfc("RLS-013")
def test_each_resource_is_in_the_list_once_and_in_its_order() -> None:
    inner = listed("inner", entry("bob%40example.org", "Bob"), entry(ALICE))
    others = [entry(each) for each in ("tel:+421", "sips:bob@example.org", "sip:Bob@example.org")]
    found = flat(Library(), entry(CAROL), inner, entry("sip:bob@EXAMPLE.org", "Robert"), *others)
    assert uris(found) == [CAROL, BOB, ALICE, "sips:bob@example.org", "sip:Bob@example.org"]
    assert found.members[1] == Member(BOB, BOB, (("", "Bob"),))


@pytest.mark.rfc("RLS-033")
def test_an_empty_list_has_no_members() -> None:
    assert flat(Library()) == Expanded(())


@pytest.mark.rfc("RLS-025")
def test_the_list_has_names_too() -> None:
    document, element = parsed("<list><display-name>Friends</display-name></list>")
    assert expansion.expand(document, element, place(), Library().read, LIMITS).names == (("", "Friends"),)
    library = Library({selector(ALICE): lists("<list><display-name>Work</display-name></list>")})
    assert linked(anchor(ALICE, "list"), library).names == (("", "Work"),)


def test_all_lists_of_a_document_together_are_one() -> None:
    document = tree.parse(lists(listed("a", entry(BOB)), listed("b", entry(CAROL), entry(BOB))))
    found = expansion.expand(document, document.root, place(), Library().read, LIMITS)
    assert uris(found) == [BOB, CAROL]


# References to entries


@pytest.mark.rfc("RLS-015", "XCC-006")
def test_an_entry_ref_is_the_entry_below_the_root() -> None:
    library = Library({selector(ALICE): lists(listed("list1", entry("sip:bob%40example.org", "Bob"), entry(CAROL, "Carol")))})
    first = reference(path(ALICE, f"{LIST_1}/entry[1]"))
    second = reference(path(ALICE, f'{LIST_1}/entry[@uri="{CAROL}"]'), "My Carol")
    found = flat(library, entry(DAVE), first, second)
    assert found.members == (Member(DAVE, DAVE), Member(BOB, BOB, (("", "Bob"),)), Member(CAROL, CAROL, (("", "My Carol"),)))
    assert found.documents == (selector(ALICE),)
    assert library.asked == [selector(ALICE)]


@pytest.mark.rfc("RLS-014")
def test_the_same_entry_ref_in_two_places_is_no_loop() -> None:
    library = Library({selector(ALICE): lists(listed("list1", entry(BOB)))})
    ref = reference(path(ALICE, f"{LIST_1}/entry"))
    assert uris(flat(library, ref, listed("inner", ref))) == [BOB]


@pytest.mark.rfc("RLS-015")
@pytest.mark.parametrize(
    "ref",
    [path(ALICE, f"{LIST_1}/entry[9]"), path(ALICE, "list/entry"), path(ALICE, "list["), path(ALICE, f"{LIST_1}/entry[1]/@uri"),
     path(ALICE, "p:list"), path(ALICE, "entry", "other"), path(BOB, f"{LIST_1}/entry[1]"), "", "../etc/passwd"],
)  # fmt: skip
def test_an_entry_ref_that_leads_nowhere_is_left_out(ref: str) -> None:
    known = lists(listed("list1", entry(BOB), entry(BOB)), listed("list2", entry(BOB)))
    library = Library({selector(ALICE): known, selector(BOB): known})
    found = flat(library, entry(CAROL), reference(ref))
    assert uris(found) == [CAROL]
    assert found.left_out == (ref,)


@pytest.mark.rfc("RLS-015")
@pytest.mark.parametrize("node", ["", LIST_1, f"{LIST_1}/entry[1]/display-name"])
def test_an_entry_ref_to_something_that_is_no_entry_is_502(node: str) -> None:
    library = Library({selector(ALICE): lists(listed("list1", entry(BOB, "Bob")))})
    refusal = refused(BadGateway, library, entry(CAROL), reference(path(ALICE, node)))
    assert (refusal.status, refusal.documents) == (502, (selector(ALICE),))


# References to lists


@pytest.mark.rfc("RLS-014")
def test_an_external_is_what_is_in_the_list_in_its_place() -> None:
    library = Library(
        {
            selector(ALICE): lists(listed("list1", entry(BOB), external(ELSEWHERE)), listed("list2", entry(DAVE))),
            ELSEWHERE: f'<list xmlns="urn:ietf:params:xml:ns:resource-lists">{entry(CAROL)}{entry(BOB)}</list>'.encode(),
        }
    )
    found = flat(library, external(anchor(ALICE, LIST_1)), entry(ALICE), external(anchor(ALICE, "list%5B2%5D")))
    assert uris(found) == [BOB, CAROL, ALICE, DAVE]
    assert found.documents == (selector(ALICE), ELSEWHERE)
    assert library.asked == [selector(ALICE), ELSEWHERE]


def test_clients_encode_anchors_as_a_whole() -> None:
    library = Library({selector(ALICE): lists(listed("list1", entry(BOB)))})
    written = anchor(ALICE, LIST_1).replace(":", "%3A").replace("[", "%5B").replace("@", "%40")
    assert uris(flat(library, external(written))) == [BOB]


def test_documents_of_ser_have_no_namespace() -> None:
    library = Library(
        {selector(ALICE): b'<resource-lists><list name="list1"><entry uri="sip:bob@example.org"/></list></resource-lists>'}
    )
    assert uris(flat(library, external(anchor(ALICE, LIST_1)))) == [BOB]
    library = Library({selector(ALICE): lists(listed("list1", entry(BOB))).replace(b"xmlns=", b'a="urn:x" xmlns=')})
    assert uris(flat(library, external(anchor(ALICE, LIST_1)))) == [BOB]


@pytest.mark.rfc("RLS-014")
def test_a_list_that_refers_to_itself_is_502() -> None:
    again = external(anchor(ALICE, LIST_1))
    library = Library({selector(ALICE): lists(listed("list1", entry(BOB), again))})
    assert refused(BadGateway, library, again).status == 502


@pytest.mark.rfc("RLS-014")
@pytest.mark.parametrize(
    "second", [anchor(ALICE, LIST_1), anchor(ALICE, LIST_1).replace("[", "%5b"), anchor("sip%3Aalice%40example.org", LIST_1)]
)
def test_a_list_that_was_named_before_is_502(second: str) -> None:
    library = Library({selector(ALICE): lists(listed("list1", entry(BOB)))})
    refused(BadGateway, library, external(anchor(ALICE, LIST_1)), listed("inner", external(second)))


@pytest.mark.rfc("RLS-014")
def test_lists_of_two_servers_that_refer_to_each_other_are_502() -> None:
    library = Library(
        {ELSEWHERE: lists(listed("a", external(f"{ELSEWHERE}2"))), f"{ELSEWHERE}2": lists(listed("b", external(ELSEWHERE)))}
    )
    refusal = refused(BadGateway, library, external(ELSEWHERE))
    assert refusal.documents == (ELSEWHERE, f"{ELSEWHERE}2")


@pytest.mark.rfc("RLS-015")
@pytest.mark.parametrize(
    "written", [anchor(ALICE, "list[9]"), anchor(ALICE, name="none"), ELSEWHERE, "", "list1", path(ALICE, LIST_1)]
)
def test_an_external_that_leads_nowhere_is_left_out(written: str) -> None:
    found = flat(Library({selector(ALICE): lists(listed("list1", entry(BOB)))}), entry(CAROL), external(written))
    assert (uris(found), found.left_out) == ([CAROL], (written,))


@pytest.mark.rfc("RLS-015")
@pytest.mark.parametrize(
    "body", [b"<ruleset/>", lists(listed("a", entry(BOB))), b"no xml", b"<!DOCTYPE list><list/>", b"<list>\xff</list>"]
)
def test_an_external_that_is_something_else_is_502(body: bytes) -> None:
    where = f"{ELSEWHERE}/~~/resource-lists/list/entry" if b"resource" in body else ELSEWHERE
    assert refused(BadGateway, Library({ELSEWHERE: body}), external(where)).status == 502


# Whose documents


@pytest.mark.rfc("RLS-011")
def test_a_user_gets_nobody_elses_list_by_referring_to_it() -> None:
    library = Library({selector(BOB): lists(listed("list1", entry(CAROL)))})
    found = flat(library, external(anchor(BOB, LIST_1)), reference(path(BOB, f"{LIST_1}/entry")))
    assert (found.members, found.documents, library.asked) == ((), (), [])
    with pytest.raises(BadGateway):
        linked(anchor(BOB, LIST_1), library)


@pytest.mark.rfc("RLS-011")
def test_the_operators_lists_may_refer_to_those_of_users_but_these_no_further() -> None:
    library = Library(
        {
            selector("", "staff"): lists(listed("list1", external(anchor(BOB, LIST_1)))),
            selector(BOB): lists(listed("list1", entry(CAROL), external(anchor(ALICE, LIST_1)))),
            selector(ALICE): lists(listed("list1", entry(DAVE))),
        }
    )
    for owner in (ALICE, CAROL, ""):
        found = flat(library, external(anchor("", LIST_1, "staff")), owner=owner)
        assert (uris(found), found.left_out) == ([CAROL], (anchor(ALICE, LIST_1),))


@pytest.mark.rfc("RLS-011")
def test_a_document_of_another_server_leads_to_no_user_here() -> None:
    library = Library(
        {
            ELSEWHERE: lists(listed("a", entry(CAROL), external(anchor(ALICE, LIST_1)), external(anchor("", LIST_1)))),
            selector(ALICE): lists(listed("list1", entry(BOB))),
            selector(""): lists(listed("list1", entry(DAVE))),
        }
    )
    assert uris(flat(library, external(ELSEWHERE))) == [CAROL, DAVE]


# What is not known yet


def test_documents_that_are_not_known_yet_are_told() -> None:
    library = Library({ELSEWHERE: None, selector(ALICE): None})
    found = flat(
        library, external(ELSEWHERE), entry(BOB), reference(path(ALICE, "list/entry")), reference(path(ALICE, "list/entry[2]"))
    )
    assert uris(found) == [BOB]
    assert found.unknown == found.documents == (ELSEWHERE, selector(ALICE))
    assert found.left_out == ()
    assert len(library.asked) == 2


# Links of services


@pytest.mark.rfc("RLS-013")
def test_a_service_has_its_list_or_a_link_to_it() -> None:
    library = Library({selector(ALICE): lists(listed("list1", entry(BOB)))})
    document = tree.parse(
        services(
            f'<service uri="sip:a@b"><list><rl:entry uri="{CAROL}"/></list></service>',
            f'<service uri="sip:c@d"><resource-list>{anchor(ALICE, "list%5B1%5D")}</resource-list></service>',
            '<service uri="sip:e@f"/>',
        )
    )
    expanded = {}
    for uri in ("sip:a@b", "sip:c@d"):
        found = service.find(document, uri)
        assert found is not None
        expanded[uri] = expansion.expand_service(document, found, place(), library.read, LIMITS)
    assert [uris(each) for each in expanded.values()] == [[CAROL], [BOB]]
    nothing = service.find(document, "sip:e@f")
    assert nothing is not None
    with pytest.raises(BadGateway):
        expansion.expand_service(document, nothing, place(), library.read, LIMITS)


@pytest.mark.rfc("RLS-015")
@pytest.mark.parametrize("uri", ["", "list1", ELSEWHERE, anchor(ALICE, "list[9]"), anchor(ALICE, f"{LIST_1}/entry"), anchor(BOB)])
def test_a_link_that_leads_to_no_list_is_502(uri: str) -> None:
    library = Library({selector(ALICE): lists(listed("list1", entry(BOB))), selector(BOB): lists()})
    with pytest.raises(BadGateway) as raised:
        linked(uri, library)
    assert raised.value.status == 502


def test_a_link_that_is_not_known_yet_has_no_members_so_far() -> None:
    assert linked(ELSEWHERE, Library({ELSEWHERE: None})) == Expanded((), (), (ELSEWHERE,), (ELSEWHERE,))


def test_a_link_may_lead_to_a_whole_document() -> None:
    assert uris(linked(anchor(ALICE), Library({selector(ALICE): lists(listed("a", entry(BOB)), listed("b", entry(CAROL)))}))) == [
        BOB,
        CAROL,
    ]


# Limits


@pytest.mark.rfc("RLS-013")
def test_a_list_may_have_so_many_entries() -> None:
    limits = Limits(entries=3)
    assert len(flat(Library(), entry(BOB), listed("x", entry(BOB)), entry(CAROL), limits=limits).members) == 2
    assert refused(ListTooLarge, Library(), *[entry(BOB)] * 4, limits=limits).status == 403
    refused(ListTooLarge, Library(), *[external("")] * 4, limits=limits)


@pytest.mark.rfc("RLS-021")
def test_lists_may_refer_to_each_other_so_deep() -> None:
    def chain(length: int) -> Library:
        return Library({f"{ELSEWHERE}{at}": lists(listed("a", external(f"{ELSEWHERE}{at + 1}"))) for at in range(length)})

    limits = Limits(levels=4)
    assert flat(chain(4), external(f"{ELSEWHERE}0"), limits=limits).left_out == (f"{ELSEWHERE}4",)
    refused(ListTooLarge, chain(5), external(f"{ELSEWHERE}0"), limits=limits)


def test_a_list_may_be_made_of_so_many_documents() -> None:
    library = Library()
    refused(ListTooLarge, library, *(external(f"{ELSEWHERE}{each}") for each in range(9)), limits=Limits(documents=8))
    assert len(library.asked) == 8


@pytest.mark.rfc("RLS-021")
def test_a_list_in_lists_is_entered_unless_it_is_one_of_them_or_too_deep() -> None:
    assert way_into((ALICE,), BOB, 3) == (ALICE, BOB)
    assert way_into((ALICE, BOB), ALICE, 3) is None
    assert way_into((ALICE, BOB, CAROL), DAVE, 3) is None
