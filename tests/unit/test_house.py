"""The rules that keep the house habitable: who may import what, how large things may grow, what they may be called."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted((ROOT / "kemi").rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts)

MAX_LINES, MAX_FUNCTION, MAX_NESTING, MAX_PUBLIC_METHODS = 400, 40, 3, 10

CLICKING = ("b2b", "documents", "explain", "lists", "output", "presence", "rules", "server", "trace", "users", "watching")
ONLY_IMPORTERS = {
    "KSR": {
        "kemi.gateway",
        *(f"kemi.gateway.{part}" for part in ("answers", "authentication", "bindings", "http", "outgoing", "proxy")),
    },
    "sqlite3": {"kemi.database"},
    "psycopg": {"kemi.postgresql"},
    "httpx": {"kemi.xcap.fetch"},
    "click": {"kemi.console", *(f"kemi.console.{each}" for each in CLICKING)},
    "rich": {"kemi.console.output"},
}
PACKAGES = {
    "kemi.xcap": set(),
    "kemi.presence": {"kemi.xcap"},
    "kemi.packages": {"kemi.b2bua", "kemi.presence", "kemi.rls", "kemi.xcap"},
    "kemi.rls": {"kemi.xcap", "kemi.presence"},
    "kemi.b2bua": set(),
    "kemi.console": {"kemi.b2bua", "kemi.packages", "kemi.presence", "kemi.rls", "kemi.xcap"},
}
"""Which of our packages each of them may import."""

MAY_IMPORT_PACKAGES = {
    "kemi.gateway.outgoing", "kemi.process", "kemi.ser_lists", "kemi.ser_xcap", "kemi.requests", "kemi.handler", "kemi.message",
    "kemi.web", "kemi.consequences",
}  # fmt: skip
"""Modules of the root that may: the shell, MESSAGE, which asks rules, and HTTP, whose documents change what others do."""

PURE = {
    "kemi.http", "kemi.http_digest", "kemi.account", "kemi.multipart",
    "kemi.sip", "kemi.effects", "kemi.errors", "kemi.dialog", "kemi.subscription", "kemi.event_package", "kemi.digest",
    "kemi.rate_control", "kemi.watcher", "kemi.binding", "kemi.answer", "kemi.news", "kemi.client_profile",
    "kemi.presence.pidf", "kemi.presence.composition", "kemi.presence.publication", "kemi.presence.formats",
    "kemi.presence.completion", "kemi.presence.outline", "kemi.presence.parsed", "kemi.presence.plain", "kemi.presence.privacy",
    "kemi.presence.namespaces", "kemi.presence.removed",
    "kemi.packages.dialog_info", "kemi.packages.dialog_aggregation", "kemi.packages.message_summary_body",
    "kemi.xcap.errors", "kemi.xcap.path", "kemi.xcap.tree", "kemi.xcap.selector", "kemi.xcap.edit", "kemi.xcap.common_policy",
    "kemi.xcap.ruleset", "kemi.xcap.conditions", "kemi.xcap.uri", "kemi.xcap.pres_rules", "kemi.xcap.im_rules",
    "kemi.xcap.dialog_rules", "kemi.xcap.fetched_document", "kemi.xcap.constraints", "kemi.xcap.external_list", "kemi.xcap.usages",
    "kemi.xcap.diff_format", "kemi.xcap.patch", "kemi.xcap.watched", "kemi.xcap.root_uri",
    "kemi.xcap.explanation", "kemi.xcap.origin", "kemi.xcap.own_rules",
    "kemi.rls.resource_list", "kemi.rls.reference", "kemi.rls.expansion", "kemi.rls.service", "kemi.rls.recipient_list",
    "kemi.rls.rlmi", "kemi.rls.aggregate_state",
    "kemi.b2bua.outgoing", "kemi.b2bua.machine", "kemi.b2bua.moves", "kemi.b2bua.credentials", "kemi.b2bua.request",
    "kemi.b2bua.numbered", "kemi.b2bua.event_list", "kemi.b2bua.forks",
}  # fmt: skip
PURE_LIBRARIES = {
    "base64", "binascii", "collections", "dataclasses", "datetime", "difflib", "enum", "functools", "hashlib", "html", "ipaddress",
    "itertools", "lxml", "math", "re", "string", "types", "typing", "xml", "unicodedata", "zlib",
}  # fmt: skip
NAMESPACES = {"kemi.b2bua", "kemi.presence", "kemi.packages", "kemi.xcap", "urllib.parse"}
"""What a pure module may name besides."""

NEEDS_ONLY_THE_TYPE = {("kemi.event_package", "kemi.moment"), ("kemi.event_package", "kemi.settings")}
"""A package's functions are given a moment, and settings; naming their types needs these imports."""

CLOCKS = {"now", "utcnow", "today", "fromtimestamp", "getrandbits", "urandom", "time", "monotonic"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "shared"}
FORBIDDEN_CLASSES = re.compile(r"(Manager|Service|Helper|Engine|Util|Utils)$")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, anywhere in it; `from kemi import sip` is kemi.sip."""
    return tuple(_imports_in(path))


def _imports_in(path: Path) -> Iterator[str]:
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                file = ROOT / Path(*inside.split("."))
                yield inside if file.with_suffix(".py").is_file() or file.is_dir() else str(node.module)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file; several rules look at them."""
    return tuple(ast.walk(tree_of(path)))


def module_table() -> dict[str, list[str]]:
    """The modules of each kind, as docs/architecture.md has them: of the root, and of the folders that it goes through."""
    table = (ROOT / "docs" / "architecture.md").read_text().partition("| kind | modules | rule |\n")[2].partition("\n\n")[0]
    kinds: dict[str, list[str]] = {}
    for row in table.splitlines()[1:]:
        _, kind, modules, *_ = row.split("|")
        first, *rest = re.split(r"in `(\w+)/`:", modules)
        rooms = [("kemi", first), *((f"kemi.{room}", names) for room, names in zip(rest[::2], rest[1::2], strict=True))]
        kinds[kind.strip()] = [f"{room}.{name}" for room, names in rooms for name in re.findall(r"`(\w+)`", names)]
    return kinds


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in nodes_of(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def package_of(module: str) -> str:
    """kemi.presence for kemi.presence.store, "" for a module of the root."""
    return next((package for package in PACKAGES if module == package or module.startswith(f"{package}.")), "")


# Kinds


def test_every_module_has_its_kind_in_the_table_of_the_architecture() -> None:
    standing = sorted(name for names in module_table().values() for name in names)
    rooms = ("kemi", "kemi.presence", "kemi.packages", "kemi.rls")
    there = [module_of(path) for path in PRODUCT if path.name != "__init__.py"]
    assert standing == sorted(name for name in there if name.rpartition(".")[0] in rooms)


def test_nouns_are_the_modules_that_are_held_to_be_pure() -> None:
    elsewhere = {name for name in PURE if package_of(name) in ("kemi.b2bua", "kemi.xcap")}
    assert set(module_table()["nouns, pure"]) == PURE - elsewhere
    assert {module_of(path) for path in PRODUCT} >= PURE


def test_who_says_to_be_pure_is_held_to_it() -> None:
    saying = {module_of(path) for path in PRODUCT if re.search(r"\(pure\b", (ast.get_docstring(tree_of(path)) or ""))}
    assert saying - PURE == set()


# Imports


@pytest.mark.parametrize("library", ONLY_IMPORTERS)
def test_one_module_alone_meets_that_part_of_the_world(library: str) -> None:
    importers = {module_of(path) for path in PRODUCT if library in {name.split(".")[0] for name in imports_of(path)}}
    assert importers <= ONLY_IMPORTERS[library]


def test_packages_import_each_other_in_one_direction() -> None:
    wrong = [
        f"{module_of(path)} imports {name}"
        for path in PRODUCT
        for name in imports_of(path)
        if (package := package_of(module_of(path))) and package_of(name) not in ("", package, *PACKAGES[package])
    ]
    assert wrong == []


def test_modules_of_the_root_import_no_package() -> None:
    wrong = [
        f"{module_of(path)} imports {name}"
        for path in PRODUCT
        for name in imports_of(path)
        if package_of(name) and not package_of(module_of(path)) and module_of(path) not in MAY_IMPORT_PACKAGES
    ]
    assert wrong == []


def test_nothing_but_the_shell_imports_the_gateway_or_the_handler() -> None:
    wrong = {module_of(path): name for path in PRODUCT for name in imports_of(path) if name in ("kemi.gateway", "kemi.handler")}
    parts = {f"kemi.gateway.{part}" for part in ("answers", "authentication", "bindings", "http", "outgoing", "proxy")}
    shell = {f"kemi.{name}" for name in ("process", "requests", "handler", "script", "ser", "ser_lists", "ser_xcap")}
    assert set(wrong) <= {*shell, *parts}


def test_pure_modules_import_values_only() -> None:
    wrong = []
    for path in PRODUCT:
        module = module_of(path)
        for name in imports_of(path) if module in PURE else ():
            allowed = name.split(".")[0] in PURE_LIBRARIES or name in PURE | NAMESPACES
            if not allowed and (module, name) not in NEEDS_ONLY_THE_TYPE:
                wrong.append(f"{module} imports {name}")
    assert wrong == []


def test_pure_modules_ask_no_clock_and_no_chance() -> None:
    wrong = [
        f"{path.name}:{node.lineno} {node.func.attr}"
        for path in PRODUCT
        if module_of(path) in PURE
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS
    ]
    assert wrong == []


@pytest.mark.parametrize("word", ["SELECT ", "INSERT ", "UPDATE ", "DELETE "])
def test_statements_live_in_sql_files(word: str) -> None:
    """But for the lock and the table of migrations, which need no name."""
    wrong = [
        f"{path.name}:{node.lineno}"
        for path in PRODUCT
        if module_of(path) not in ("kemi.database", "kemi.statement", "kemi.postgresql")
        for node in nodes_of(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.lstrip().startswith(word)
    ]
    assert wrong == []


def test_one_engine_is_named_by_the_database_alone() -> None:
    """Settings and the console read and print its URL; migrations may be for one engine."""
    asking = {module_of(path) for path in PRODUCT if re.search(r"\.engine\s*(==|!=|in)", path.read_text())}
    assert asking <= {"kemi.database"}


# Sizes and names


def test_a_file_of_the_product_keeps_its_budget() -> None:
    assert [each for path in PRODUCT for each in excesses(path)] == []


def test_a_file_of_tests_keeps_its_budget() -> None:
    lines = {module_of(path): len(path.read_text().splitlines()) for path in TESTS}
    assert {name: number for name, number in lines.items() if number > MAX_LINES} == {}


def excesses(path: Path) -> Iterator[str]:
    """What is too large in a file of the product."""
    name, lines = module_of(path), len(path.read_text().splitlines())
    if lines > MAX_LINES:
        yield f"{name}: {lines} lines"
    yield from (f"{name}.{node.name}: {length(node)} lines" for node in functions_of(path) if length(node) > MAX_FUNCTION)
    yield from (f"{name}.{node.name}: nested {nesting(node)} deep" for node in functions_of(path) if nesting(node) > MAX_NESTING)
    yield from (f"{name}.{node.name}: {count} public methods" for node, count in public_methods(path) if count > MAX_PUBLIC_METHODS)


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code: its docstring is not counted."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1


def nesting(node: ast.AST, depth: int = 0) -> int:
    """How deep blocks stand in each other; an elif is no deeper than its if."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        chained = isinstance(node, ast.If) and node.orelse == [child] and isinstance(child, ast.If)
        block = isinstance(child, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match | ast.AsyncFor | ast.AsyncWith)
        deepest = max(deepest, nesting(child, depth + (block and not chained)))
    return deepest


def public_methods(path: Path) -> Iterator[tuple[ast.ClassDef, int]]:
    """Kamailio's own names for its callbacks are given, not chosen."""
    for node in nodes_of(path):
        if isinstance(node, ast.ClassDef):
            names = [child.name for child in node.body if isinstance(child, ast.FunctionDef)]
            yield node, len([name for name in names if not name.startswith(("_", "ksr_"))])


def test_every_file_says_what_it_is_for() -> None:
    silent = [path for path in PRODUCT + TESTS if not ast.get_docstring(tree_of(path))]
    assert [module_of(path) for path in silent if path.name != "__init__.py" or path.read_text().strip()] == []


def test_nothing_is_called_by_a_word_that_says_nothing() -> None:
    names = [path.stem for path in PRODUCT + TESTS] + [path.parent.name for path in PRODUCT]
    assert not FORBIDDEN_NAMES & set(names)
    classes = [node.name for path in PRODUCT for node in nodes_of(path) if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if FORBIDDEN_CLASSES.search(name)] == []


def test_packages_are_only_those_of_the_plan() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in PRODUCT}
    assert {".".join(folder.split(".")[:2]) for folder in folders} <= {"kemi", "kemi.gateway", *PACKAGES}


def test_no_test_sleeps() -> None:
    """What waits for a server polls it under a deadline, outside of the tests themselves. A kill comes at a random moment."""
    wrong = [
        f"{path.name}:{node.lineno}"
        for path in TESTS
        if (path.name.startswith("test_") and path.name != "test_kill.py") or path.name == "conftest.py"
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "sleep"
    ]
    assert wrong == []


def test_the_product_sleeps_nowhere_in_kamailio() -> None:
    """I4: a SIP worker never waits. Only the console, before the server runs, may."""
    wrong = [module_of(path) for path in PRODUCT if re.search(r"\bsleep\(", path.read_text())]
    assert set(wrong) <= {"kemi.startup", "kemi.sole_server", "kemi.console"}
