"""Lists whose documents are on another XCAP server (xcap.xcap_root): kemi/rls/source.py (RFC 4826 section 4.5)."""

from functools import partial

import pytest

from kemi.errors import ServiceUnavailable, SipError
from kemi.rls import appeared, source
from kemi.xcap.fetched_document import FetchedDocument, Outcome
from kemi.xcap.fetching import document_changed
from tests.unit.values import ALICE, BOB, CAROL
from tests.verbs.fetched import ROOT, Cache
from tests.verbs.lists import ACCEPT, FRIENDS, Lists, entries, services, user
from tests.verbs.world import World, state_of

ACTIVE, NORESOURCE = ("active", None), ("terminated", "noresource")
OWN, INDEX = (BOB, "rls-services"), ("", "rls-services")
LISTS = (BOB, "resource-lists")


class Fetched:
    """Documents of the other server, and what the server is told when one comes."""

    def __init__(self, world: World) -> None:
        self.cache = Cache(world)
        self.lists = Lists(world)
        self.world = world
        self.claimed: dict[tuple[str, str], FetchedDocument] = {}

    def comes(self, document: tuple[str, str], body: bytes | None) -> None:
        """What was asked for is there, or is not; None: there is no such document."""
        owner, auid = document
        self.cache.read(owner, auid)
        self.claimed |= {(each.owner, each.auid): each for each in self.cache.claim()}
        claimed = self.claimed.pop(document)
        changed = partial(document_changed, appeared=appeared.elsewhere)
        self.cache.answer(claimed, Outcome.MISSING if body is None else Outcome.DOCUMENT, body or b"", changed)

    def becomes(self, document: tuple[str, str], body: bytes | None) -> None:
        """The same of one that is known, later."""
        self.world.now += 301
        self.comes(document, body)


@pytest.fixture
def fetched(world: World) -> Fetched:
    world.set(notify_interval=0)
    world.set_lists(timer_interval=0)
    return Fetched(world)


def of_lists(*lists: tuple[str, str]) -> bytes:
    inside = "".join(f'<list name="{name}">{content}</list>' for name, content in lists)
    return f'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">{inside}</resource-lists>'.encode()


def linking(where: str) -> bytes:
    """A service whose list is somewhere below the root."""
    service = f'<service uri="{FRIENDS}"><resource-list>{ROOT}/{where}</resource-list></service>'
    return f'<rls-services xmlns="urn:ietf:params:xml:ns:rls-services">{service}</rls-services>'.encode()


def refused(fetched: Fetched) -> int:
    with pytest.raises(SipError) as problem:
        fetched.lists.subscribe(accept="*/*")
    return problem.value.status


def test_what_is_not_known_yet_is_asked_for_again(fetched: Fetched) -> None:
    """503 with Retry-After: nobody waits, and nothing is said of a list that may be there."""
    with pytest.raises(ServiceUnavailable) as problem:
        fetched.lists.subscribe()
    assert problem.value.headers == (("Retry-After", "2"),)
    fetched.comes(OWN, None)
    assert refused(fetched) == 503
    fetched.comes(INDEX, services((FRIENDS, entries([ALICE]))))
    assert fetched.lists.watch(ALICE).said() == {ALICE: ACTIVE}


@pytest.mark.rfc("RLS-017")
def test_a_uri_that_is_in_neither_document_is_a_presentity(fetched: Fetched) -> None:
    assert refused(fetched) == 503
    fetched.comes(OWN, services((f"{FRIENDS}.example.com", entries([ALICE]))))
    fetched.comes(INDEX, None)
    (first,) = fetched.lists.subscribe().sent
    assert "application/pidf+xml" in first.headers


def test_a_users_own_services_are_nobody_elses(fetched: Fetched) -> None:
    fetched.comes(OWN, services((FRIENDS, entries([ALICE]))))
    assert fetched.lists.watch(ALICE).said() == {ALICE: ACTIVE}
    fetched.comes((CAROL, "rls-services"), None)
    fetched.comes(INDEX, None)
    (first,) = fetched.lists.subscribe(CAROL).sent
    assert "application/pidf+xml" in first.headers


@pytest.mark.rfc("RLS-027")
def test_a_document_that_changes_changes_the_list(fetched: Fetched) -> None:
    fetched.comes(OWN, services((FRIENDS, entries([ALICE, CAROL]))))
    subscriber = fetched.lists.watch(expires="7200")
    fetched.becomes(OWN, services((FRIENDS, entries([CAROL, user(1)]))))
    assert [told.is_full for told in subscriber.told()] == [True]
    assert subscriber.said() == {ALICE: NORESOURCE, CAROL: ACTIVE, user(1): ACTIVE}


def test_a_document_that_is_forgotten_leaves_the_list_as_it_was(fetched: Fetched) -> None:
    fetched.comes(OWN, services((FRIENDS, entries([ALICE]))))
    fetched.comes(INDEX, None)
    subscriber = fetched.lists.watch(ALICE, expires="7200")
    fetched.world.database.script("UPDATE fetched SET known = 'unknown', body = ''")
    subscriber.refresh(expires="7200")
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}


@pytest.mark.rfc("RLS-014", "RLS-015")
@pytest.mark.parametrize("kind", ["external", "entry-ref", "resource-list"])
def test_references_lead_into_documents_of_that_server(fetched: Fetched, kind: str) -> None:
    where = f"resource-lists/users/{BOB}/index/~~/resource-lists/list%5B@name=%22work%22%5D"
    content = {
        "external": f'<external anchor="{ROOT}/{where}"/>',
        "entry-ref": f'<entry-ref ref="{where}/entry"/>',
    }
    fetched.comes(OWN, linking(where) if kind == "resource-list" else services((FRIENDS, content[kind])))
    assert refused(fetched) == 503, "nothing is told before all members are known"
    fetched.comes(LISTS, of_lists(("work", entries([ALICE]))))
    assert fetched.lists.watch(ALICE).said() == {ALICE: ACTIVE}


@pytest.mark.rfc("RLS-005")
def test_a_reference_that_is_not_known_yet_leaves_a_list_as_it_is(fetched: Fetched) -> None:
    """And one in the list, of which nothing was told, is pending."""
    where = f"{ROOT}/resource-lists/users/{BOB}/index/~~/resource-lists/list"
    work = "sip:work@example.org"
    fetched.comes(OWN, services((FRIENDS, entries([CAROL]))))
    subscriber = fetched.lists.watch(CAROL, expires="7200")
    subscriber.reader.members = None
    fetched.becomes(OWN, services((FRIENDS, entries([CAROL, work])), (work, f'<external anchor="{where}"/>')))
    subscriber.told()
    assert subscriber.said() == {CAROL: ACTIVE, work: ("pending", None)}
    fetched.comes(LISTS, of_lists(("work", entries([ALICE]))))
    subscriber.told()
    assert subscriber.said() == {CAROL: ACTIVE, work: ACTIVE}
    assert subscriber.last is not None
    inside = subscriber.last.instance(work).body
    assert (inside.uris, inside.version, inside.is_full) == ([ALICE], 0, True)  # type: ignore[union-attr]


@pytest.mark.rfc("RLS-005")
def test_a_list_in_a_list_has_to_be_known_too(fetched: Fetched) -> None:
    where = f"{ROOT}/resource-lists/users/{BOB}/index/~~/resource-lists/list"
    work = "sip:work@example.org"
    fetched.comes(OWN, services((FRIENDS, entries([work])), (work, f'<external anchor="{where}"/>')))
    assert refused(fetched) == 503
    fetched.comes(LISTS, of_lists(("work", entries([ALICE]))))
    assert fetched.lists.watch(work).said() == {work: ACTIVE}


@pytest.mark.rfc("RLS-027")
def test_a_list_that_is_not_there_any_more_ends(fetched: Fetched) -> None:
    fetched.comes(OWN, services((FRIENDS, entries([ALICE]))))
    fetched.comes(INDEX, None)
    subscriber = fetched.lists.watch(ALICE, expires="7200")
    subscriber.reader.members = None
    fetched.becomes(OWN, None)
    subscriber.told()
    assert subscriber.state == "terminated;reason=noresource"
    assert subscriber.said() == {ALICE: NORESOURCE}


@pytest.mark.rfc("XCC-001")
@pytest.mark.parametrize("outcome", [Outcome.SILENT, Outcome.REFUSED])
def test_a_server_that_fails_ends_no_list(fetched: Fetched, outcome: Outcome) -> None:
    fetched.comes(OWN, services((FRIENDS, entries([ALICE]))))
    fetched.comes(INDEX, None)
    subscriber = fetched.lists.watch(ALICE, expires="7200")
    fetched.world.now += 301
    fetched.cache.read(*OWN)
    for each in fetched.cache.claim():
        fetched.cache.answer(each, outcome, b"", document_changed)
    subscriber.refresh(expires="7200")
    subscriber.told()
    assert subscriber.state.startswith("active")
    assert subscriber.said() == {ALICE: ACTIVE}


# What becomes a list


@pytest.mark.rfc("RLS-019")
def test_an_old_answer_does_not_say_that_there_is_no_list(fetched: Fetched) -> None:
    """Of a URI that no user has; whoever asks comes again."""
    fetched.comes(OWN, None)
    fetched.comes(INDEX, None)
    assert len(fetched.lists.subscribe(uri="sip:other@example.org").sent) == 1
    fetched.world.publish()
    fetched.world.now += 301
    assert refused(fetched) == 503
    assert len(fetched.lists.subscribe(uri=ALICE).sent) == 1, "a user is watched all the same"
    fetched.comes(OWN, services((FRIENDS, entries([ALICE]))))
    assert fetched.lists.watch(ALICE).said() == {ALICE: ACTIVE}


@pytest.mark.rfc("XCC-001")
def test_an_old_answer_counts_on_while_the_server_fails(fetched: Fetched) -> None:
    fetched.comes(OWN, None)
    fetched.comes(INDEX, None)
    fetched.world.now += 301
    assert refused(fetched) == 503
    for each in fetched.cache.claim():
        fetched.cache.answer(each, Outcome.SILENT)
    assert len(fetched.lists.subscribe().sent) == 1


@pytest.mark.rfc("RLS-019")
@pytest.mark.parametrize("where", [OWN, INDEX])
def test_who_watches_what_becomes_a_list_comes_again(fetched: Fetched, where: tuple[str, str]) -> None:
    """The documents are looked at when the subscription is refreshed."""
    fetched.comes(OWN, None)
    fetched.comes(INDEX, None)
    single = fetched.world.watch(BOB, resource=FRIENDS, supported="eventlist", accept=ACCEPT, expires="7200")
    plain = fetched.world.watch(BOB, resource=FRIENDS, expires="7200")
    other = fetched.world.watch(CAROL, resource=ALICE, expires="7200")
    fetched.world.now += 301
    fetched.world.refresh(single, supported="eventlist", accept=ACCEPT, expires="7200")
    fetched.world.told()
    fetched.comes(where, services((FRIENDS, entries([ALICE]))))
    assert [(each.id, state_of(each)) for each in fetched.world.told()] == [(single, "terminated;reason=deactivated")]
    assert (fetched.world.has_subscription(plain), fetched.world.has_subscription(other)) == (True, True)
    assert fetched.lists.watch(ALICE).said() == {ALICE: ACTIVE}


def test_a_list_of_one_user_ends_no_subscription_of_another(fetched: Fetched) -> None:
    for owner in (BOB, CAROL, ""):
        fetched.comes((owner, "rls-services"), None)
    dialogs = [fetched.world.watch(each, resource=FRIENDS, supported="eventlist", accept=ACCEPT) for each in (BOB, CAROL)]
    fetched.becomes(OWN, services((FRIENDS, entries([ALICE]))))
    assert [each.id for each in fetched.world.told()] == dialogs[:1]


@pytest.mark.rfc("RLS-015")
def test_a_link_into_a_document_that_is_not_there_is_502(fetched: Fetched) -> None:
    fetched.comes(OWN, linking(f"resource-lists/users/{BOB}/index/~~/resource-lists/list"))
    fetched.comes(LISTS, None)
    assert refused(fetched) == 502


def test_a_list_of_the_users_own_document(fetched: Fetched) -> None:
    watch = partial(fetched.lists.watch, ALICE, uri="sip:l@example.org", chosen=source.Chosen(name="work").as_text())
    with pytest.raises(ServiceUnavailable):
        watch()
    fetched.comes(LISTS, of_lists(("work", entries([ALICE])), ("other", entries([CAROL]))))
    assert watch().said() == {ALICE: ACTIVE}


def test_documents_of_sers_form_are_read(fetched: Fetched) -> None:
    """Without namespaces, as the examples of its handbook are."""
    inside = f'<list name="x">{entries([ALICE])}</list><packages><package>presence</package></packages>'
    body = f'<rls-services><service uri="{FRIENDS}">{inside}</service></rls-services>'
    fetched.comes(OWN, None)
    fetched.comes(INDEX, body.encode())
    assert fetched.lists.watch(ALICE).said() == {ALICE: ACTIVE}


@pytest.mark.rfc("RLS-020")
def test_lists_in_lists_are_those_of_that_server(fetched: Fetched) -> None:
    """What our own documents say does not count."""
    work, ours = "sip:work@example.org", "sip:ours@example.org"
    world = fetched.world
    world.database.execute("xcap_service_create", {"xui": CAROL, "name": "index"}, [(ours,)])
    fetched.comes(OWN, services((FRIENDS, entries([work, ours])), (work, entries([CAROL]))))
    subscriber = fetched.lists.watch(work, ours)
    assert subscriber.last is not None
    assert subscriber.last.instance(work).body.uris == [CAROL]  # type: ignore[union-attr]
    assert subscriber.last.instance(ours).content_type == "application/pidf+xml"
