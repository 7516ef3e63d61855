"""Lists whose documents are on another XCAP server (xcap.xcap_root): kemi/rls/source.py (RFC 4826 section 4.5)."""

from functools import partial

import pytest

from kemi.errors import ServiceUnavailable, SipError
from kemi.rls import source
from kemi.xcap.cached_document import CachedDocument, Outcome
from kemi.xcap.fetching import rules_changed
from tests.unit.values import ALICE, BOB, CAROL
from tests.verbs.fetched import ROOT, Cache
from tests.verbs.lists import FRIENDS, Lists, Subscriber, entries, services, user
from tests.verbs.world import World

ACTIVE, NORESOURCE = ("active", None), ("terminated", "noresource")
OWN, INDEX = (BOB, "rls-services"), ("", "rls-services")
LISTS = (BOB, "resource-lists")


class Fetched:
    """Documents of the other server, and what the server is told when one comes."""

    def __init__(self, world: World) -> None:
        self.cache = Cache(world)
        self.lists = Lists(world)
        self.world = world
        self.claimed: dict[tuple[str, str], CachedDocument] = {}

    def comes(self, document: tuple[str, str], body: bytes | None) -> None:
        """What was asked for is there, or is not; None: there is no such document."""
        world, (owner, auid) = self.world, document
        self.cache.read(owner, auid)
        self.claimed |= {(each.owner, each.auid): each for each in self.cache.claim()}
        claimed = self.claimed.pop(document)
        changed = rules_changed(world.database, world.settings, world.packages)
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
    subscriber = fetched.lists.watch()
    assert subscriber.said() == {}, "nobody waits for the document"
    fetched.comes(LISTS, of_lists(("work", entries([ALICE]))))
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}


@pytest.mark.rfc("RLS-015")
def test_a_link_into_a_document_that_is_not_there_is_502(fetched: Fetched) -> None:
    fetched.comes(OWN, linking(f"resource-lists/users/{BOB}/index/~~/resource-lists/list"))
    fetched.comes(LISTS, None)
    assert refused(fetched) == 502


def test_a_list_of_the_users_own_document(fetched: Fetched) -> None:
    subscribe = partial(
        fetched.lists.dialog, fetched.lists.subscribe(uri="sip:l@example.org", chosen=source.own_list_as_text("work"))
    )
    subscriber = Subscriber(fetched.world, subscribe())
    subscriber.told()
    assert subscriber.said() == {}, "it is not known yet"
    fetched.comes(LISTS, of_lists(("work", entries([ALICE])), ("other", entries([CAROL]))))
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}


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
