"""kamailio.cfg as Python reads it: what has to be known before the first message, and what is tried before a start.

The first is defines and custom global parameters, the second sockets to listen on and parameters of the core and of modules.
Kamailio gives scripts no way to read `group.name = value desc "..."` while its processes start, so the file is read a second time
here, by the rules of Kamailio's own scanner: `#!define`, `#!trydefine`, `#!redefine`, `#!defenv`,
`#!trydefenv` (and their quoting forms with an s), `#!substdef` of a name, with `$def(NAME)` in its value, `#!ifdef`,
`#!ifndef`, `#!else`, `#!endif`, `include_file`, `import_file`, the `MOD_name` that `loadmodule` defines, `#`, `//` and
nested `/* */` comments, and defined names used as values. Routes are passed over.

Not known here: `KAMAILIO_5` and the like, other forms of `#!subst`; `#!ifexp` and `#!defexp` stop with an error instead of a
guess.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from kemi.errors import ConfigurationError

MAX_INCLUDE_DEPTH: Final = 10
BLANK: Final = r"[ \t\b\r]"
NAME: Final = r"[A-Za-z_]\w*"
DOUBLE_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
TOKEN: Final = re.compile(
    rf"""
      (?P<blank>      (?:{BLANK}|\\?\n)+ )
    | (?P<directive>  (?:\#!|!!)(?:(?:try|re)?def(?:ine)?|(?:try)?defenvs?|defexps?|ifn?def|ifexp|else|endif|substdef)\b )
    | (?P<include>    (?:(?:\#!|!!))?(?:include|import)_file{BLANK}+ )
    | (?P<comment>    (?:\#|//)[^\n]* )
    | (?P<block>      /\* )
    | (?P<string>     {DOUBLE_QUOTED}(?:\s*{DOUBLE_QUOTED})* | '[^']*' )
    | (?P<variable>   \$[\w.]*\(? )
    | (?P<number>     0x[0-9a-fA-F]+\b | [01]+b\b | [0-9]+\b )
    | (?P<listen>     listen{BLANK}*={BLANK}*[^\s;]+ )
    | (?P<word>       \w+ )
    | (?P<mark>       . )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
CONDITION: Final = re.compile(rf"(?:#!|!!)(?:(ifdef|ifndef|ifexp){BLANK}+|(else|endif){BLANK}*(?:\n|\Z))")
ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{2,3}|.)", re.DOTALL)
ESCAPED: Final = {"n": "\n", "r": "\r", "a": "\a", "t": "\t", '"': '"', "\\": "\\", "\n": ""}
SUBSTITUTION: Final = re.compile(rf'{BLANK}+"([^\w\s"])({NAME})\1((?:(?!\1)[^"\\\n])*)\1')
ASSIGNMENT: Final = ["word", "mark", "word", "mark"]
MODULE_PARAMETER: Final = ["modparam", "(", ",", ","]
SWITCHES: Final = {"yes": 1, "true": 1, "on": 1, "enable": 1, "no": 0, "false": 0, "off": 0, "disable": 0}


class Assignment(NamedTuple):
    """The value of a parameter, and the place that sets it, for messages."""

    value: int | str
    place: str


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """What was read: defines by name (empty where no value is given), parameters by `group.name`, what each `listen` says,
    parameters of the core by name, those of modules by `module.name`; names that are asked for or set somewhere in it."""

    defines: Mapping[str, str]
    parameters: Mapping[str, Assignment]
    listen: tuple[Assignment, ...] = ()
    core: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, Assignment] = field(default_factory=dict)
    named: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number, string or mark outside comments, defines replaced."""

    kind: str
    text: str
    place: str


@dataclass(frozen=True, slots=True)
class Source:
    """A text that is being read and where it is from; the positions of the line ends of a file."""

    name: str
    text: str
    depth: int
    line_ends: Sequence[int] | None = None

    def place(self, position: int) -> str:
        """File and line, as people say it; of a defined name where it is used."""
        return self.name if self.line_ends is None else f"{self.name} line {bisect_left(self.line_ends, position) + 1}"


def read(path: Path, environment: Mapping[str, str], defines: Mapping[str, str]) -> ConfigurationFile:
    """Read a configuration file and what it includes.

    Args:
        path: the file.
        environment: what `#!trydefenv` finds.
        defines: names defined beforehand, as by `kamailio -A NAME=value`.

    Raises:
        ConfigurationError: it cannot be read, or Kamailio would refuse what is in it.
    """
    reader = _Reader(environment, defines)
    reader.collect(reader.tokens_of_file(path, 0))
    listen, named = tuple(reader.listen), frozenset(reader.named)
    return ConfigurationFile(reader.defines, reader.parameters, listen, reader.core, reader.modules, named)


def unquoted(value: str) -> str:
    """The plain text of a define's value: quotes, trailing comment and blanks taken away."""
    quoted = re.match(rf"({DOUBLE_QUOTED})|'([^']*)'", value)
    if quoted:
        return string_value(quoted[0])
    return re.split(r"(?:^|\s)(?:#|//|/\*)", value, maxsplit=1)[0].strip()


def string_value(quoted: str) -> str:
    """What a quoted string stands for; adjacent double-quoted strings are one."""
    if quoted.startswith("'"):
        return quoted[1:-1]
    parts = re.findall(DOUBLE_QUOTED, quoted, re.DOTALL)
    return "".join(ESCAPE.sub(_escaped, part[1:-1]) for part in parts)


def _escaped(match: re.Match[str]) -> str:
    escape = match[1]
    if escape[0] == "x" and len(escape) > 1:
        return chr(int(escape[1:], 16))
    if escape[0] in "01234567" and len(escape) > 1:
        return chr(int(escape, 8) & 0xFF)
    return ESCAPED.get(escape, match[0])


def number_value(text: str) -> int:
    """Kamailio's decimal, hexadecimal (0x), octal (leading 0) and binary (trailing b) numbers."""
    if text.startswith("0x"):
        return int(text, 16)
    if text.endswith("b"):
        return int(text[:-1], 2)
    return int(text, 8) if re.fullmatch("0[0-7]+", text) else int(text)


class _Reader:
    """The state of one reading: what is defined, what is set, which conditions are open."""

    def __init__(self, environment: Mapping[str, str], defines: Mapping[str, str]) -> None:
        self.defines = dict(defines)
        self.parameters: dict[str, Assignment] = {}
        self.listen: list[Assignment] = []
        self.core: dict[str, str] = {}
        self.modules: dict[str, Assignment] = {}
        self.named: set[str] = set()
        self._substitutions: dict[str, str] = {}
        self._environment = environment
        self._conditions: list[bool] = []

    def collect(self, tokens: Iterator[Token]) -> None:
        """Find the parameters among the tokens outside of routes."""
        window: list[Token] = []
        nesting = 0
        for token in tokens:
            nesting += {"{": 1, "}": -1}.get(token.text, 0) if token.kind == "mark" else 0
            if nesting == 0:
                self._statement(window, token)
            window = [*window[-5:], token]
        if self._conditions:
            raise ConfigurationError(f"{window[-1].place if window else 'the file'}: an #!ifdef before has no #!endif")

    def _statement(self, window: list[Token], token: Token) -> None:
        last = window[-4:]
        if token.kind == "listen":
            self.listen.append(Assignment(token.text, token.place))
        elif [part.kind for part in last] == ASSIGNMENT and last[1].text + last[3].text == ".=":
            self._assign(f"{last[0].text}.{last[2].text}", token)
        elif window and window[-1].text == "loadmodule" and token.kind == "string":
            self.defines["MOD_" + token.text.rpartition("/")[2].removesuffix(".so")] = ""
        elif [part.text for part in window if part.kind != "string"] == MODULE_PARAMETER:
            name = f"{window[2].text}.{window[4].text}"
            self.modules.pop(name, None)  # in the order in which the last of each name stands
            self.modules[name] = Assignment(self._replaced(_as_string(token), {}), token.place)
        elif len(window) > 1 and window[-1].text == "=":
            self.core[window[-2].text] = token.text

    def _assign(self, name: str, token: Token) -> None:
        if name in self.parameters:
            raise ConfigurationError(f"{token.place}: {name} is set in {self.parameters[name].place} too; set it once")
        value: int | str
        if token.kind == "string":
            value = token.text
        elif token.kind == "number":
            value = number_value(token.text)
        elif token.text in SWITCHES:
            value = SWITCHES[token.text]
        else:
            raise ConfigurationError(f'{token.place}: {name} = {token.text}: a number or a "quoted string" is needed')
        self.parameters[name] = Assignment(value, token.place)

    def tokens_of_file(self, path: Path, depth: int) -> Iterator[Token]:
        """Tokens of a file, of the files it includes, and of the values of defined names."""
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
        return self._tokens(Source(str(path), text, depth, [each.start() for each in re.finditer("\n", text)]), frozenset())

    def _tokens(self, source: Source, expanding: frozenset[str]) -> Iterator[Token]:
        position = 0
        while match := TOKEN.match(source.text, position):
            kind, text, position = str(match.lastgroup), match[0], match.end()
            if kind == "directive":
                position = self._directive(text[2:], source, position)
            elif kind == "include":
                path, position = self._included(source, position, optional="import" in text)
                if path is not None:
                    yield from self.tokens_of_file(path, source.depth + 1)
            elif kind == "block":
                position = _end_of_comment(source, position)
            elif kind == "variable":
                position = _end_of_variable(source.text, position) if text.endswith("(") else position
            elif kind == "word" and text in self.defines:
                yield from self._expanded(text, source.place(match.start()), expanding)
            elif kind == "listen":
                yield Token(kind, self._replaced(text.partition("=")[2].strip(), self.defines), source.place(match.start()))
            elif kind not in ("blank", "comment"):
                yield _token(kind, text, source.place(match.start()))

    def _expanded(self, name: str, place: str, expanding: frozenset[str]) -> Iterator[Token]:
        self.named.add(name)
        if name in expanding:
            raise ConfigurationError(f"{place}: #!define {name} refers to itself")
        for token in self._tokens(Source(f"{place}: {name}", self.defines[name], 0), expanding | {name}):
            yield Token(token.kind, token.text, place)

    def _replaced(self, text: str, defines: Mapping[str, str]) -> str:
        """Text with the names that `#!substdef` knows replaced, and these."""
        known = {name: unquoted(value) for name, value in defines.items()} | self._substitutions
        return re.sub(NAME, lambda found: known.get(found[0], found[0]), text)

    def _included(self, source: Source, position: int, optional: bool) -> tuple[Path | None, int]:
        place = source.place(position)
        match = re.compile(r'"((?:[^"\\\n]|\\.)+)"').match(source.text, position)
        if match is None:
            raise ConfigurationError(f"{place}: the name of an included file must stand between double quotes")
        if source.depth >= MAX_INCLUDE_DEPTH:
            raise ConfigurationError(f"{place}: more than {MAX_INCLUDE_DEPTH} files include each other")
        name = string_value(match[0])
        for path in (Path(name), Path(source.name).parent / name):
            if path.is_file():
                return path, match.end()
        if not optional:
            raise ConfigurationError(f"{place}: included file {name} does not exist")
        return None, match.end()

    def _directive(self, name: str, source: Source, position: int) -> int:
        if name in ("ifdef", "ifndef", "ifexp", "else", "endif"):
            return self._condition(source, position - len(name) - 2)
        if name.startswith("defexp"):
            raise ConfigurationError(f"{source.place(position)}: #!{name} is not supported here; use #!define")
        if "defenv" in name:
            return self._define_from_environment(name, source, position)
        if name == "substdef":
            return self._substitution(source, position)
        return self._define(name, source, position)

    def _substitution(self, source: Source, position: int) -> int:
        """One of another form is Kamailio's alone."""
        if match := SUBSTITUTION.match(source.text, position):
            value = re.sub(r"\$def\((\w+)\)", lambda found: self.defines.get(found[1], ""), match[3])
            self._substitutions[match[2]] = value
        end = source.text.find("\n", position)
        return len(source.text) if end < 0 else end

    def _define(self, kind: str, source: Source, position: int) -> int:
        match = re.compile(rf"{BLANK}+({NAME}){BLANK}*((?:\\\n|[^\n])*)").match(source.text, position)
        if match is None:
            raise ConfigurationError(f"{source.place(position)}: #!{kind} needs a name of letters, digits and _")
        name, value = match[1], match[2].replace("\\\n", "")
        self.named.add(name)
        if name not in self.defines or kind.startswith("re"):
            self.defines[name] = value
        elif not kind.startswith("try"):
            raise ConfigurationError(f"{source.place(position)}: {name} is defined before; use #!trydefine or #!redefine")
        return match.end()

    def _define_from_environment(self, kind: str, source: Source, position: int) -> int:
        match = re.compile(rf"{BLANK}*({NAME})(?:=(\w+))?").match(source.text, position)
        if match is None:
            raise ConfigurationError(f"{source.place(position)}: #!{kind} needs NAME or NAME=VARIABLE")
        name, variable = match[1], match[2] or match[1]
        value = self._environment.get(variable)
        if value is not None:
            self.defines[name] = f'"{value}"' if kind.endswith("s") else value
        elif not kind.startswith("try"):
            raise ConfigurationError(f"{source.place(position)}: the environment variable {variable} is not set")
        return match.end()

    def _condition(self, source: Source, position: int) -> int:
        """Take one condition, then pass over what is not to be read."""
        match = CONDITION.match(source.text, position)
        while match is not None:
            position = self._open_or_close(match, source)
            if all(self._conditions):
                return position
            match = CONDITION.search(source.text, position)
        return self._without_condition(source, position)

    def _without_condition(self, source: Source, position: int) -> int:
        if not all(self._conditions):
            return len(source.text)
        end = source.text.find("\n", position)
        return len(source.text) if end < 0 else end

    def _open_or_close(self, match: re.Match[str], source: Source) -> int:
        kind, place = match[1] or match[2], source.place(match.start())
        if kind == "ifexp":
            raise ConfigurationError(f"{place}: #!ifexp is not supported here; use #!ifdef")
        if match[1]:
            name = re.compile(NAME).match(source.text, match.end())
            if name is None:
                raise ConfigurationError(f"{place}: #!{kind} needs a name")
            self.named.add(name[0])
            self._conditions.append((name[0] in self.defines) == (kind == "ifdef"))
            return name.end()
        if not self._conditions:
            raise ConfigurationError(f"{place}: #!{kind} has no #!ifdef before it")
        current = self._conditions.pop()
        if kind == "else":
            self._conditions.append(not current)
        return match.end()


def _as_string(token: Token) -> str:
    """Its text; a number, and a word that stands for one, as a decimal number."""
    if token.kind == "number":
        return str(number_value(token.text))
    return token.text if token.kind == "string" else str(SWITCHES.get(token.text, token.text))


def _token(kind: str, text: str, place: str) -> Token:
    if text == '"':
        raise ConfigurationError(f"{place}: a string is not closed")
    return Token(kind, string_value(text) if kind == "string" else text, place)


def _end_of_comment(source: Source, position: int) -> int:
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(source.text, position):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise ConfigurationError(f"{source.place(position)}: a comment is not closed")


def _end_of_variable(text: str, position: int) -> int:
    depth = 1
    for match in re.compile(r"[()]").finditer(text, position):
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return match.end()
    return len(text)
