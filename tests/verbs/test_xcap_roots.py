"""XCAP roots that a script chooses: kemi/xcap/roots.py, and what is inherited by whom (SER handbook section 8)."""

from dataclasses import replace
from functools import partial

import pytest

from kemi import message
from kemi.effects import Effect
from kemi.event_package import Decision
from kemi.presence import explain, policy
from kemi.rls import source
from kemi.rls.source import NotFetchedYet
from kemi.subscription import State
from kemi.xcap import fetched, roots
from kemi.xcap.fetched_document import Outcome
from kemi.xcap.fetching import document_changed
from tests.unit.values import ALICE, BOB, CAROL
from tests.unit.xcap.rules import document, external_list, identity, one, rule
from tests.verbs.fetched import ROOT, SERVER, Cache
from tests.verbs.lists import FRIENDS, Lists, Subscriber, entries, services
from tests.verbs.world import World, state_of

OTHER = f"{SERVER}other"
ELSEWHERE = "https://xcap.example.com/root"
ALLOW = document(rule(identity(one(BOB)), "allow"))
BLOCK = document(rule(identity(one(BOB)), "block"))
WORK = "sip:work@example.org"


def of_lists(*lists: str) -> bytes:
    return f'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">{"".join(lists)}</resource-lists>'.encode()


class Roots(Cache):
    """A world with three roots; the documents are those that a test says."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        world.set(auth="xcap", notify_interval=0)
        world.set_lists(timer_interval=0)
        xcap = replace(world.settings.xcap, other_roots=f"{OTHER}/,{ELSEWHERE}")
        world.settings = replace(world.settings, xcap=xcap)
        self.documents: dict[str, bytes] = {}
        self.asked: list[str] = []

    def choose(self, root: str, presentity: str = ALICE) -> list[Effect]:
        """A script has chosen a root for a SUBSCRIBE to a presentity."""
        world = self.world
        changed = partial(document_changed, world.moment, "pres-rules", presentity)
        return roots.remember(world.moment, presentity, root, changed)

    def fetch(self) -> None:
        """All that is due comes, or is not there."""
        while claimed := [*self.claim(100), *self.claim(100, "https://xcap.example.com/")]:
            for each in claimed:
                self.asked.append(each.uri)
                body = self.documents.get(each.uri, b"")
                self.answer(each, Outcome.DOCUMENT if body else Outcome.MISSING, body, document_changed)

    def rules(self, root: str, body: bytes, presentity: str = ALICE) -> None:
        self.documents[f"{root}/pres-rules/users/{presentity}/index"] = body

    def decision(self) -> Decision:
        world = self.world
        return policy.authorize(world.moment, [BOB], ALICE)[BOB].decision


@pytest.fixture
def here(world: World) -> Roots:
    return Roots(world)


# Which roots there are


@pytest.mark.rfc("SEC-020")
@pytest.mark.parametrize(
    ("text", "root"),
    [
        (ROOT, ROOT), (f" {OTHER} ", OTHER), (f"{OTHER}/", OTHER), (ELSEWHERE, ELSEWHERE), ("", ""), ("/", ""), (SERVER, ""),
        (f"{OTHER}/../root", ""), ("https://xcap.example.com/root2", ""), ("http://xcap.example.com/root", ""),
        ("https://user@xcap.example.com/root", ""), ("https://xcap.example.com@evil.example.net/root", ""),
        ("file:///etc/passwd", ""),
    ],
)  # fmt: skip
def test_only_roots_that_the_operator_has_written_down_may_be_asked(here: Roots, text: str, root: str) -> None:
    assert roots.allowed(here.world.settings, text) == root


def test_where_there_is_one_root_nothing_is_looked_up(here: Roots) -> None:
    world = here.world
    world.settings = replace(world.settings, xcap=replace(world.settings.xcap, other_roots=""))
    with world.counted() as statements:
        assert roots.of(world.moment, ALICE).settings is world.settings
    assert statements == []


# The presentity


def test_rules_of_a_presentity_are_those_below_its_root(here: Roots) -> None:
    here.rules(ROOT, BLOCK)
    here.rules(OTHER, ALLOW)
    here.choose(OTHER)
    dialog = here.world.watch(BOB)
    assert here.world.subscription(dialog).state is State.PENDING
    here.fetch()
    assert here.world.subscription(dialog).state is State.ACTIVE
    assert {each.partition("/pres-rules")[0] for each in here.asked if "/pres-rules/" in each} == {OTHER}


def test_the_root_stays_with_the_presentity_for_requests_that_set_none(here: Roots) -> None:
    here.rules(ELSEWHERE, ALLOW)
    here.choose(ELSEWHERE)
    here.decision()
    here.fetch()
    assert here.decision() is Decision.ALLOW
    (sent,) = here.world.subscribe(BOB).sent
    assert state_of(sent).startswith("active")


def test_the_root_of_one_presentity_is_not_that_of_another(here: Roots) -> None:
    here.choose(OTHER, CAROL)
    here.rules(ROOT, ALLOW)
    here.decision()
    here.fetch()
    assert here.decision() is Decision.ALLOW


@pytest.mark.rfc("AUTH-004")
def test_another_root_counts_at_once_for_all_who_watch(here: Roots) -> None:
    here.rules(ROOT, ALLOW)
    here.rules(OTHER, BLOCK)
    dialog = here.world.watch(BOB)
    here.fetch()
    here.world.told()
    assert here.world.subscription(dialog).state is State.ACTIVE
    here.choose(OTHER)
    assert here.world.subscription(dialog).state is State.PENDING, "nothing is known of the other root yet"
    here.fetch()
    assert here.world.subscription(dialog).state is State.TERMINATED


def test_the_usual_root_may_be_chosen_again(here: Roots) -> None:
    here.rules(ROOT, ALLOW)
    here.choose(OTHER)
    here.choose(ROOT)
    here.decision()
    here.fetch()
    assert here.decision() is Decision.ALLOW


def test_the_same_root_again_changes_nothing(here: Roots) -> None:
    here.choose(OTHER)
    with here.world.counted() as statements:
        assert here.choose(OTHER) == []
    assert statements == ["fetched_root_load"]
    here.world.now += roots.AGAIN
    with here.world.counted() as statements:
        assert here.choose(OTHER) == []
    assert statements == ["fetched_root_load", "lock", "fetched_root_remember"]


def test_lists_that_rules_refer_to_are_below_the_same_root(here: Roots) -> None:
    anchor = f"{OTHER}/resource-lists/users/{ALICE}/index/~~/resource-lists/list"
    here.rules(OTHER, document(rule(external_list(anchor), "allow")))
    here.documents[f"{OTHER}/resource-lists/users/{ALICE}/index"] = of_lists(f"<list>{entries([BOB])}</list>")
    here.choose(OTHER)
    dialog = here.world.watch(BOB)
    here.fetch()
    assert here.world.subscription(dialog).state is State.ACTIVE
    assert not any(each.startswith(ROOT) for each in here.asked)


def test_what_people_are_told_of_rules_is_of_that_root(here: Roots) -> None:
    """Of those that stay, when others are tried."""
    here.documents[f"{OTHER}/org.openmobilealliance.pres-rules/users/{ALICE}/pres-rules"] = ALLOW
    here.choose(OTHER)
    here.decision()
    here.fetch()
    world = here.world
    trial = explain.Trial("tried", BLOCK)
    now, tried = (explain.explain(world.moment, BOB, ALICE, each) for each in (None, trial))
    assert (now.authorization.decision, tried.authorization.decision) == (Decision.ALLOW, Decision.ALLOW)


def test_a_root_that_the_operator_takes_away_does_not_count_any_more(here: Roots) -> None:
    here.choose(OTHER)
    xcap = replace(here.world.settings.xcap, other_roots=ELSEWHERE)
    here.world.settings = replace(here.world.settings, xcap=xcap)
    here.decision()
    fetched.begin(here.world.moment)
    here.fetch()
    assert {each.partition("/pres-rules")[0] for each in here.asked if "/pres-rules/" in each} == {ROOT}


def test_documents_of_all_roots_are_kept_when_the_fetcher_begins(here: Roots) -> None:
    for presentity, root in ((ALICE, ROOT), (BOB, OTHER), (CAROL, ELSEWHERE)):
        fetched.document(roots.below(here.world.moment, root), "pres-rules", presentity)
    fetched.begin(here.world.moment)
    here.fetch()
    assert sorted(each.partition("/pres-rules")[0] for each in here.asked) == sorted([ROOT, OTHER, ELSEWHERE])


def known(here: Roots, presentity: str = ALICE) -> bool:
    return bool(here.world.database.execute("fetched_root_load", {"presentity": presentity}).rows())


def test_roots_of_nobody_are_forgotten_in_the_end(here: Roots) -> None:
    here.choose(OTHER)
    here.choose(OTHER, CAROL)
    here.world.watch(BOB)
    here.forget()
    assert (known(here), known(here, CAROL)) == (True, True), "a SUBSCRIBE may be under way"
    here.world.now += roots.KEPT
    here.forget()
    assert (known(here), known(here, CAROL)) == (True, False)


def test_a_root_is_known_as_long_as_documents_are(here: Roots) -> None:
    here.choose(OTHER)
    here.decision()
    here.fetch()
    here.world.now += roots.KEPT
    here.forget()
    assert known(here)


# Lists


def watch_list(here: Roots, root: str, uri: str = FRIENDS, chosen: str = "") -> Subscriber:
    """What the handler does of a SUBSCRIBE for which a script has chosen a root."""
    lists = Lists(here.world)
    dialog = lists.dialog(lists.subscribe(uri=uri, chosen=source.below(root, chosen)))
    subscriber = Subscriber(here.world, dialog)
    subscriber.told()
    return subscriber


def is_list(here: Roots, root: str, uri: str = FRIENDS) -> bool:
    return source.is_list(roots.below(here.world.moment, root), BOB, uri)


@pytest.mark.parametrize("owner", ["users/sip:bob@example.org", "global"])
def test_a_list_keeps_the_root_that_it_was_opened_with(here: Roots, owner: str) -> None:
    here.world.set(auth="none")
    index = f"{OTHER}/rls-services/{owner}/index"
    here.documents[index] = services((FRIENDS, entries([ALICE])))
    for root in (ROOT, OTHER):
        with pytest.raises(Exception, match="not known yet"):
            is_list(here, root)
    here.fetch()
    assert [is_list(here, root) for root in (ROOT, OTHER)] == [False, True]
    subscriber = watch_list(here, OTHER)
    assert list(subscriber.said()) == [ALICE]
    here.documents[index] = services((FRIENDS, entries([ALICE, CAROL])))
    here.world.now += 331
    here.fetch()
    subscriber.told()
    assert list(subscriber.said()) == [ALICE, CAROL]
    subscriber.refresh()
    subscriber.told()
    assert list(subscriber.said()) == [ALICE, CAROL]


def test_lists_in_lists_are_below_the_same_root(here: Roots) -> None:
    here.world.set(auth="none")
    here.documents[f"{OTHER}/rls-services/global/index"] = services((FRIENDS, entries([WORK])), (WORK, entries([ALICE])))
    with pytest.raises(Exception, match="not known yet"):
        is_list(here, OTHER)
    here.fetch()
    subscriber = watch_list(here, OTHER)
    assert subscriber.last is not None
    assert subscriber.last.instance(WORK).body.uris == [ALICE]  # type: ignore[union-attr]


def test_a_list_of_the_watchers_own_document_keeps_its_root_too(here: Roots) -> None:
    here.world.set(auth="none")
    here.documents[f"{OTHER}/resource-lists/users/{BOB}/index"] = of_lists(f'<list name="work">{entries([ALICE])}</list>')
    with pytest.raises(NotFetchedYet) as refused:
        watch_list(here, OTHER, chosen=source.Chosen(name="work").as_text())
    source.ask(roots.below(here.world.moment, OTHER), refused.value.wanted)
    here.fetch()
    assert list(watch_list(here, OTHER, chosen=source.Chosen(name="work").as_text()).said()) == [ALICE]


def test_rules_of_members_are_where_those_of_the_members_are(here: Roots) -> None:
    """As SER's virtual subscriptions: the root of a list is not that of its members."""
    here.documents[f"{OTHER}/rls-services/global/index"] = services((FRIENDS, entries([ALICE, CAROL])))
    here.rules(ROOT, ALLOW, ALICE)
    here.rules(OTHER, BLOCK, ALICE)
    here.rules(ELSEWHERE, ALLOW, CAROL)
    here.choose(ELSEWHERE, CAROL)
    with pytest.raises(Exception, match="not known yet"):
        is_list(here, OTHER)
    here.fetch()
    subscriber = watch_list(here, OTHER)
    here.fetch()
    subscriber.told()
    assert {uri: state for uri, (state, _) in subscriber.said().items()} == {ALICE: "active", CAROL: "active"}


# Messages


def test_rules_for_messages_are_below_the_root_of_the_request_alone(here: Roots) -> None:
    scope = 'xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:im="urn:iptel:xml:ns:im-rules"'
    block = f'<ruleset {scope}><rule id="r"><actions><im:im-handling>block</im:im-handling></actions></rule></ruleset>'
    here.documents[f"{OTHER}/im-rules/users/{ALICE}/im-rules.xml"] = block.encode()
    world = here.world

    def decision(root: str) -> Decision:
        return message.authorize(roots.below(world.moment, root), [BOB], ALICE).decision

    assert [decision(root) for root in ("", OTHER)] == [Decision.CONFIRM] * 2
    here.fetch()
    assert [decision(root) for root in ("", OTHER, ROOT)] == [Decision.ALLOW, Decision.BLOCK, Decision.ALLOW]
    assert not known(here)
