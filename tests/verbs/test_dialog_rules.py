"""Rules for the package dialog decide who may see a user's calls, in the place of presence rules (RFC 4235 section 5, RFC 4745)."""

import pytest

from kemi import administration, packages
from kemi.errors import Forbidden
from kemi.event_package import Decision
from kemi.packages.dialog_info import MEDIA_TYPE, NAMESPACE
from kemi.presence import explain, rules
from kemi.presence.explain import Trial
from kemi.subscription import State
from kemi.xcap.errors import SchemaValidationError
from kemi.xcap.fetched_document import Outcome
from kemi.xcap.fetching import document_changed
from tests.unit.values import ALICE, BOB, CAROL
from tests.unit.xcap.rules import document, external_list, rule, validity
from tests.unit.xcap.test_dialog_rules import calls
from tests.verbs.fetched import FRESHNESS, Cache
from tests.verbs.lists import Lists
from tests.verbs.ruled import BOBS, CAROLS, Ruled, allow, outcome, sphere, time
from tests.verbs.world import World, state_of

BOTH = pytest.mark.parametrize("auid", ["dialog-rules", "org.openxcap.dialog-rules"])
CALL = '<dialog id="d"><state>confirmed</state></dialog>'
INFORMATION = f'<dialog-info xmlns="{NAMESPACE}" version="1" state="full" entity="{ALICE}">{CALL}</dialog-info>'


@pytest.fixture
def ruled(world: World) -> Ruled:
    """Rules that let everybody see presence, and calls while nothing else is said of them; Alice is in a call."""
    ruled = Ruled(world)
    world.packages = dict(packages.served(world.settings))
    ruled.put(allow(None))
    world.publish(INFORMATION.encode(), event="dialog", content_type=MEDIA_TYPE)
    return ruled


def put(ruled: Ruled, *written: str, auid: str = "dialog-rules", **more: str) -> None:
    ruled.put(*written, auid=auid, **more)


def watch(world: World, watcher: str = BOB) -> str:
    return world.watch(watcher, event="dialog", accept=None)


def sees(world: World, watcher: str = BOB) -> str:
    """What becomes of a SUBSCRIBE to the calls: refused, or the state; active only with the call."""
    try:
        (first,) = world.subscribe(watcher, event="dialog", accept=None).sent
    except Forbidden:
        return "refused"
    state = state_of(first).partition(";")[0]
    return state if state != "active" or "confirmed" in first.body else "nothing"


# The decision


@BOTH
@pytest.mark.parametrize(
    ("handling", "expected"), [("block", "refused"), ("confirm", "pending"), ("polite-block", "nothing"), ("allow", "active")]
)
def test_they_decide_about_calls_and_nothing_else(ruled: Ruled, auid: str, handling: str, expected: str) -> None:
    put(ruled, calls(handling, BOBS), auid=auid)
    assert (sees(ruled.world), outcome(ruled.world)) == (expected, "active")


def test_whom_no_rule_names_sees_no_calls(ruled: Ruled) -> None:
    put(ruled, calls("allow", BOBS))
    assert (sees(ruled.world), sees(ruled.world, CAROL), sees(ruled.world, ALICE)) == ("active", "refused", "active")


def test_without_them_presence_rules_decide(ruled: Ruled) -> None:
    assert sees(ruled.world) == "active"
    ruled.put(rule(BOBS, "block"))
    assert sees(ruled.world) == "refused"
    put(ruled, calls("allow", BOBS))
    assert (sees(ruled.world), outcome(ruled.world)) == ("active", "refused")


def test_all_of_them_count_together(ruled: Ruled) -> None:
    put(ruled, calls("confirm", BOBS))
    put(ruled, calls("allow", CAROLS), name="more")
    assert (sees(ruled.world), sees(ruled.world, CAROL)) == ("pending", "active")
    put(ruled, calls("allow", BOBS), auid="org.openxcap.dialog-rules")
    assert sees(ruled.world) == "active"


def test_those_of_another_user_say_nothing(ruled: Ruled) -> None:
    put(ruled, calls("block"), owner=CAROL)
    assert sees(ruled.world) == "active"


@pytest.mark.rfc("AUTH-017")
@pytest.mark.parametrize("body", [b"<ruleset/>", b"no document", b""])
def test_one_that_cannot_be_read_lets_nobody_see_calls(ruled: Ruled, body: bytes) -> None:
    ruled.put(body=body, auid="dialog-rules")
    assert (sees(ruled.world), outcome(ruled.world)) == ("pending", "active")
    put(ruled, calls("allow", BOBS), name="more")
    assert (sees(ruled.world), sees(ruled.world, CAROL)) == ("active", "pending")


@pytest.mark.parametrize("decision", [Decision.ALLOW, Decision.BLOCK])
def test_management_decides_before_them(ruled: Ruled, decision: Decision) -> None:
    world = ruled.world
    put(ruled, calls("confirm", BOBS))
    dialog = watch(world)
    administration.decide(world.moment, "presence", ALICE, BOB, decision)
    assert world.subscription(dialog).decision is decision
    assert sees(world) == ("active" if decision is Decision.ALLOW else "refused")


@pytest.mark.parametrize(("auth", "expected"), [("none", "active"), ("implicit", "pending")])
def test_they_are_asked_only_where_the_operator_says_so(ruled: Ruled, auth: str, expected: str) -> None:
    put(ruled, calls("block"))
    ruled.world.set(auth=auth)
    assert sees(ruled.world) == expected


# What changes


def test_who_watches_already_follows_them(ruled: Ruled) -> None:
    world = ruled.world
    dialog, presence = watch(world), world.watch()
    put(ruled, calls("confirm", BOBS))
    (told,) = world.told()
    assert (told.id, state_of(told).partition(";")[0], told.body) == (dialog, "pending", "")
    ruled.remove(auid="dialog-rules")
    (told,) = world.told()
    assert (told.id, "confirmed" in told.body) == (dialog, True)
    put(ruled, calls("block", BOBS))
    assert [state_of(each) for each in world.told()] == ["terminated;reason=rejected"]
    assert world.subscription(presence).state is State.ACTIVE


def test_a_document_of_theirs_judges_nobody_who_watches_presence(ruled: Ruled) -> None:
    world = ruled.world
    world.watch()
    watch(world)
    with world.counted() as names:
        put(ruled, calls("allow", BOBS))
    assert names.count("decision_live") == 1
    assert "policy_documents" not in names


def test_another_view_of_presence_is_no_news_of_calls(ruled: Ruled) -> None:
    world = ruled.world
    dialog = watch(world)
    ruled.put(rule(BOBS, "allow", "<provide-persons><all-persons/></provide-persons>"))
    assert world.told() == []
    assert world.subscription(dialog).permissions == ""


@pytest.mark.rfc("AUTH-015")
def test_time_changes_what_they_say(ruled: Ruled) -> None:
    world = ruled.world
    until = world.now + 60
    put(ruled, calls("allow", BOBS + validity(time(world.now - 60), time(until))), calls("confirm", BOBS))
    dialog = watch(world)
    assert world.subscription(dialog).judge_at == until
    world.now = until
    world.tick()
    assert world.subscription(dialog).state is State.PENDING


@pytest.mark.rfc("AUTH-014")
def test_the_users_sphere_changes_what_they_say(ruled: Ruled) -> None:
    world = ruled.world
    put(ruled, calls("allow", f'{BOBS}<cp:sphere value="work"/>'), calls("confirm", BOBS))
    dialog = watch(world)
    tag = world.publish(sphere("work")).tag
    assert world.subscription(dialog).state is State.ACTIVE
    world.publish(sphere("home"), tag)
    assert world.subscription(dialog).state is State.PENDING


def test_lists_that_they_refer_to_change_what_they_say(ruled: Ruled) -> None:
    world = ruled.world
    anchor = f"http://xcap.example.org/xcap-root/resource-lists/users/{ALICE}/index/~~/resource-lists/list"
    put(ruled, calls("allow", external_list(anchor)), calls("confirm", BOBS))
    dialog = watch(world)
    members = f'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list><entry uri="{BOB}"/></list></resource-lists>'
    ruled.put(body=members.encode(), auid="resource-lists")
    assert world.subscription(dialog).state is State.ACTIVE


def test_members_of_a_list_are_watched_by_them(ruled: Ruled) -> None:
    world = ruled.world
    put(ruled, calls("confirm", BOBS))
    world.set_lists(timer_interval=0)
    lists = Lists(world)
    world.packages = dict(packages.served(world.settings))
    lists.put(ALICE, CAROL)
    accept = f"{MEDIA_TYPE}, multipart/related, application/rlmi+xml"
    friends = lists.watch(ALICE, CAROL, event="dialog", accept=accept)
    assert friends.said()[ALICE] == ("pending", None)
    put(ruled, calls("allow", BOBS))
    friends.told()
    assert friends.said()[ALICE] == ("active", None)


# What it costs


def test_they_cost_no_statement_more(ruled: Ruled) -> None:
    world = ruled.world
    with world.counted() as before:
        sees(world)
    put(ruled, calls("allow", BOBS))
    with world.counted() as after:
        assert sees(world) == "active"
    assert before == after
    assert [each for each in after if each.startswith("policy")] == ["policy_documents_with_dialog"]
    with world.counted() as names:
        outcome(world)
    assert [each for each in names if each.startswith("policy")] == ["policy_documents"]


# Another XCAP server


def answered(cache: Cache, **bodies: bytes) -> None:
    """All that is asked for is fetched; what is not here by application usage is missing there."""
    for each in cache.claim():
        body = bodies.get(each.auid.rpartition(".")[2].replace("-", "_"), b"")
        cache.answer(each, Outcome.DOCUMENT if body else Outcome.MISSING, body, document_changed)


def test_they_are_fetched_and_not_known_is_not_allowed(ruled: Ruled) -> None:
    cache, world = Cache(ruled.world), ruled.world
    world.set(auth_default="allow")
    dialog = watch(world)
    assert world.subscription(dialog).state is State.PENDING
    claimed = {each.uri.partition("/xcap-root/")[2] for each in cache.claim()}
    assert {f"{auid}/users/{ALICE}/index" for auid in ("dialog-rules", "org.openxcap.dialog-rules")} < claimed
    world.now += 60
    answered(cache, dialog_rules=document(calls("confirm", BOBS)), pres_rules=document(allow()))
    assert (sees(world), outcome(world)) == ("pending", "active")


@pytest.mark.parametrize(("name", "asked"), [("index", 5), ("calls.xml", 5), ("", 3)])
def test_there_presence_rules_decide_where_there_are_none(ruled: Ruled, name: str, asked: int) -> None:
    cache, world = Cache(ruled.world), ruled.world
    world.set(dialog_rules_file=name)
    dialog = watch(world)
    claimed = cache.claim()
    assert len(claimed) == asked
    assert sum(each.auid.endswith("dialog-rules") and each.uri.endswith(f"/{name}") for each in claimed) == asked - 3
    world.now += 60
    answered(cache, pres_rules=document(allow()))
    assert world.subscription(dialog).state is State.ACTIVE


def test_who_watches_presence_has_none_of_them_fetched(ruled: Ruled) -> None:
    cache, world = Cache(ruled.world), ruled.world
    world.watch()
    world.publish(sphere("work"))
    assert {each.auid for each in cache.claim()} == {"pres-rules", "org.openmobilealliance.pres-rules"}


def test_a_document_that_is_fetched_anew_is_followed_at_once(ruled: Ruled) -> None:
    cache, world = Cache(ruled.world), ruled.world
    dialog = watch(world)
    answered(cache, dialog_rules=document(calls("allow", BOBS)))
    assert world.subscription(dialog).state is State.ACTIVE
    world.now += 2 * FRESHNESS
    answered(cache, dialog_rules=document(calls("confirm", BOBS)))
    assert world.subscription(dialog).state is State.PENDING


def test_there_they_cost_one_statement_too(ruled: Ruled) -> None:
    cache, world = Cache(ruled.world), ruled.world
    watch(world)
    answered(cache, dialog_rules=document(calls("allow", BOBS)))
    with world.counted() as names:
        assert sees(world) == "active"
    assert [each for each in names if each.startswith(("fetched", "policy"))] == ["fetched_load_many"]


# Explained


def explained(world: World, trial: bytes | None = None, package: str = "dialog") -> explain.Explained:
    tried = None if trial is None else Trial("new.xml", trial)
    return explain.explain(world.moment, BOB, ALICE, tried, package)


def test_it_is_explained_which_of_them_decide(ruled: Ruled) -> None:
    found = explained(ruled.world)
    assert found.by_rules is not None
    assert [each.document for each in found.by_rules.explanation.matching] == ["pres-rules/index"]
    put(ruled, calls("confirm", BOBS), calls("block", CAROLS))
    found = explained(ruled.world)
    assert found.by_rules is not None
    assert [each.document for each in found.by_rules.explanation.rules] == ["dialog-rules/index"] * 2
    assert (found.authorization.decision, found.now.decision, found.seen) == (Decision.CONFIRM, Decision.CONFIRM, None)
    assert explained(ruled.world, package="presence").authorization.decision is Decision.ALLOW


def test_rules_are_tried_as_those_of_calls(ruled: Ruled) -> None:
    world = ruled.world
    found = explained(world, document(calls("polite-block", BOBS)))
    assert (found.authorization.decision, found.now.decision) == (Decision.POLITE_BLOCK, Decision.ALLOW)
    put(ruled, calls("confirm", BOBS), name="more")
    put(ruled, calls("allow", BOBS))
    assert explained(world, document(calls("block", BOBS))).authorization.decision is Decision.CONFIRM
    with pytest.raises(SchemaValidationError):
        explained(world, document(calls("perhaps", BOBS)))


@pytest.mark.parametrize("package", ["message-summary", "dialog.winfo", "unknown"])
def test_rules_of_other_packages_are_not_explained(ruled: Ruled, package: str) -> None:
    with pytest.raises(ValueError, match=package):
        explained(ruled.world, package=package)


def test_where_rules_are_is_said_by_parameters(world: World) -> None:
    world.set(pres_rules_file="mine.xml", oma_pres_rules_files="b,  a , b", dialog_rules_file="")
    oma = "org.openmobilealliance.pres-rules"
    assert rules.places(world.settings, "dialog") == [(oma, "b"), (oma, "a"), ("pres-rules", "mine.xml")]
    world.set(oma_pres_rules_files="")
    assert rules.places(world.settings, "presence") == [("pres-rules", "mine.xml")]
