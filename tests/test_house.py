"""The house stays as docs and architecture say: which room may know which, and the habits that no linter knows."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.processes import environment

ROOT: Final = Path(__file__).parents[1]
LONGEST_FILE: Final = 500

BOTTOM: Final = {
    "binding",
    "clock",
    "descriptors",
    "errors",
    "hardening",
    "explanations",
    "heap",
    "log",
    "lookup",
    "outflow",
    "secret",
    "socketfile",
    "stats",
    "tasks",
    "tls",
    "version",
}
"""Files that every room may use, and that use nothing but each other."""

ROOMS: Final[dict[str, set[str]]] = {
    "config": {"proxy.config"},
    "egress": {"proxy.config.model"},
    "outgoing": {"proxy.config.model", "proxy.egress"},
    "doctor": {"proxy.doctor", "proxy.config", "proxy.egress", "proxy.outgoing", "proxy.tokens"},
    "tokens": {"proxy.tokens", "proxy.config.model", "proxy.egress", "proxy.outgoing"},
    "forward": {"proxy.forward", "proxy.config.model", "proxy.egress", "proxy.tokens.interface"},
    "admin": {"proxy.admin", "proxy.config.model"},
    "emulator": {"proxy.emulator"},
    "aws": {"proxy.aws", "proxy.config.model", "proxy.config.secrets"},
    "assembly": {"proxy.config", "proxy.tokens", "proxy.forward", "proxy.admin"},
    "service": {"proxy.config", "proxy.tokens", "proxy.forward", "proxy.admin", "proxy.assembly", "proxy.aws"},
    "cli": {
        "proxy.cli",
        "proxy.service",
        "proxy.aws",
        "proxy.config",
        "proxy.tokens",
        "proxy.forward",
        "proxy.admin",
        "proxy.doctor",
    },
    "__main__": {"proxy.cli"},
}
"""What each room may import of this project besides BOTTOM: a module means it and everything below it."""

EMULATOR_USERS: Final = re.compile(r"proxy\.cli\.(demo|story|emulator)")
"""Who else may import the emulator. `run` serves real traffic and must not carry a signing key factory around."""

TESTED_WITH: Final[dict[str, str]] = {
    "proxy.admin.card": "tests/admin/test_page.py",
    "proxy.admin.html": "tests/admin/test_page.py",
    "proxy.outgoing": "tests/tokens/test_http.py",
    "proxy.doctor.finding": "tests/doctor/test_claims.py",
    "proxy.aws.status": "tests/aws/test_store.py",
    "proxy.cli.command": "tests/cli/test_main.py",
    "proxy.cli.loading": "tests/cli/test_check.py",
    "proxy.cli.root": "tests/cli/test_main.py",
    "proxy.cli.story": "tests/cli/test_demo.py",
    "proxy.config.model": "tests/config/test_scalars.py",
    "proxy.config.reference": "tests/config/test_describing.py",
    "proxy.config.schema": "tests/config/test_describing.py",
    "proxy.config.shapes": "tests/config/test_problems.py",
    "proxy.config.walk": "tests/config/test_problems.py",
    "proxy.config.words": "tests/config/test_problems.py",
    "proxy.config.written": "tests/config/test_describing.py",
}
"""Modules whose tests are in another file than `tests/<room>/test_<module>.py`, since they show only together."""

HEAVY: Final = {
    *("aiohttp", "boto3", "cryptography", "httptools", "jwt", "msgspec"),
    *("prometheus_client", "redis", "requests", "structlog", "uvloop", "yaml"),
}
"""What `healthcheck`, started every few seconds, must not wait for."""


# ------------------------------------------------------------------------------------------------ reading the source


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _modules() -> dict[str, ast.Module]:
    """Every module of the program, parsed, by its dotted name."""
    paths = sorted((ROOT / "proxy").rglob("*.py"))
    return {_name(path): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in paths}


def imports_of(tree: ast.Module, known: frozenset[str], *, executed: bool = False) -> set[str]:
    """The modules of this project that a module imports, inside functions too. `known` tells modules from names.

    `executed`: without those that only a type checker reads.
    """
    found = set()
    unread = {inner for node in ast.walk(tree) if executed and _is_for_checkers(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in unread:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in known else node.module)
    return {name for name in found if name.split(".")[0] == "proxy"}


def _is_for_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _graph(*, executed: bool = False) -> dict[str, set[str]]:
    known = frozenset(_modules())
    return {name: imports_of(tree, known, executed=executed) for name, tree in _modules().items()}


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def trespasses(graph: dict[str, set[str]]) -> list[str]:
    """Imports that go upward, or into a room by another way than its door."""
    found = []
    for module, imported in graph.items():
        room = _room(module)
        allowed = ROOMS.get(room, set())
        for target in imported:
            if _room(target) in BOTTOM or (target == "proxy" and room == "cli"):
                continue
            if EMULATOR_USERS.fullmatch(module) and _room(target) == "emulator":
                continue
            if not any(target == one or target.startswith(one + ".") for one in allowed):
                found.append(f"{module} imports {target}")
    return sorted(found)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import each other, directly or by way of others."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> None:
        if module in way:
            found.append([*way[way.index(module) :], module])
        elif module not in done:
            for target in sorted(graph.get(module, ())):
                visit(target, [*way, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the dotted name of what is called, as far as it is written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called: ast.expr = node.func
            parts = []
            while isinstance(called, ast.Attribute):
                parts.append(called.attr)
                called = called.value
            parts.append(called.id if isinstance(called, ast.Name) else "")
            yield node, ".".join(reversed(parts))


# ------------------------------------------------------------------------------------------------------- the rooms


def test_no_import_runs_upward() -> None:
    assert trespasses(_graph()) == []


def test_no_import_runs_in_a_circle() -> None:
    # A type that two files of one room know each other by is no circle: nothing is loaded for it.
    assert circles(_graph(executed=True)) == []


def test_every_room_is_known_here() -> None:
    rooms = {_room(module) for module in _modules()} - {""}
    assert rooms <= BOTTOM | ROOMS.keys(), "a new room: say in ROOMS what it may import"


@pytest.mark.parametrize(
    ("module", "target", "allowed"),
    [
        ("proxy.config.load", "proxy.errors", True),
        ("proxy.errors", "proxy.log", True),
        ("proxy.log", "proxy.config.model", False),
        ("proxy.config.load", "proxy.tokens.interface", False),
        ("proxy.tokens.source", "proxy.config.model", True),
        ("proxy.tokens.source", "proxy.config.load", False),
        ("proxy.tokens.source", "proxy.forward.fields", False),
        ("proxy.forward.handler", "proxy.tokens.interface", True),
        ("proxy.forward.handler", "proxy.tokens.source", False),
        ("proxy.forward.handler", "proxy.tokens", False),
        ("proxy.admin.metrics", "proxy.forward.pool", False),
        ("proxy.service", "proxy.emulator.app", False),
        ("proxy.cli.run", "proxy.emulator.app", False),
        ("proxy.cli.demo", "proxy.emulator.app", True),
        ("proxy.emulator.app", "proxy.config.model", False),
        ("proxy.service", "proxy.cli", False),
    ],
)
def test_the_rule_of_the_rooms(module: str, target: str, allowed: bool) -> None:
    assert (trespasses({module: {target}}) == []) is allowed


def test_the_rule_against_circles() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [["a", "b", "c", "a"]]


def _loaded_by(statement: str) -> set[str]:
    """The modules that a new interpreter has loaded after a statement."""
    code = f"{statement}\nimport json, sys\njson.dump(sorted(sys.modules), sys.stdout)"
    # Without the variable by which coverage would measure it, since that loads modules of its own.
    env = {name: value for name, value in environment().items() if not name.startswith("COVERAGE_")}
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, check=True)
    return set(json.loads(ran.stdout))


def test_the_command_line_imports_nothing_heavy() -> None:
    assert _loaded_by("import proxy.cli") & HEAVY == set()


def test_serving_imports_nothing_that_it_does_not_need() -> None:
    loaded = _loaded_by("import proxy.service")
    assert loaded & {"boto3", "click", "hypothesis", "redis", "requests", "proxy.cli", "proxy.emulator"} == set()


# ------------------------------------------------------------------------------------------------------ the habits


def _sources() -> list[Path]:
    rooms = ("proxy", "tests", "bench", "trials", "requirements", "helm")
    ours = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    return [path for path in ours if "node_modules" not in path.parts]


def test_no_file_is_longer_than_a_person_reads() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in _sources()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name, tree in _modules().items() if not ast.get_docstring(tree)]
    assert silent == []


def test_tasks_are_made_in_one_place() -> None:
    # The linter sees asyncio.create_task, but not a loop's or a group's own method.
    makers = {"create_task", "ensure_future", "run_coroutine_threadsafe"}
    made = [
        f"{module}:{call.lineno}"
        for module, tree in _modules().items()
        for call, called in _calls(tree)
        if module != "proxy.tasks" and called.rpartition(".")[2] in makers
    ]
    assert made == []


OTHER_PROGRAMS: Final = re.compile(
    r"(os|posix)\.(system|popen|fork\w*|exec\w*|spawn\w*|posix_spawn\w*)"
    r"|(.*\.)?(create_subprocess_\w+|subprocess_(exec|shell)|ProcessPoolExecutor)"
)


def test_the_program_starts_no_other() -> None:
    """A child would inherit the environment, and be one more process whose memory is to be kept from its neighbours."""
    modules = {"subprocess", "multiprocessing", "pty"}
    starters = []
    for module, tree in _modules().items():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            starters += [f"{module} imports {name}" for name in names if name.partition(".")[0] in modules]
        starters += [f"{module}:{call.lineno}" for call, called in _calls(tree) if OTHER_PROGRAMS.fullmatch(called)]
    assert starters == []


def test_the_rule_against_other_programs() -> None:
    for call in (
        "os.system",
        "os.execvp",
        "os.fork",
        "os.posix_spawn",
        "asyncio.create_subprocess_exec",
        "ProcessPoolExecutor",
    ):
        assert OTHER_PROGRAMS.fullmatch(call)
    for call in ("os.environ.pop", "self.execute", "os.path.join", "executor.submit"):
        assert not OTHER_PROGRAMS.fullmatch(call)


def test_no_test_sleeps() -> None:
    """Waiting for a span makes a test slow on a good day and wrong on a bad one. `asyncio.sleep(0)` is not waiting."""
    sleeps = []
    for path in (ROOT / "tests").rglob("*.py"):
        for call, called in _calls(ast.parse(path.read_text(encoding="utf-8"))):
            turn = called == "asyncio.sleep" and ast.unparse(call.args[0]) == "0"
            if called in ("asyncio.sleep", "time.sleep", "sleep") and not turn:
                sleeps.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert sleeps == []


def _has_logic(tree: ast.Module) -> bool:
    """Whether a module does something: some function has more than a docstring and `...`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = [one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
            if body:
                return True
    return False


def _has_own_test(module: str) -> bool:
    if (other := TESTED_WITH.get(module)) is not None:
        return (ROOT / other).is_file()
    *room, name = module.split(".")[1:]
    folder = ROOT.joinpath("tests", *room)
    return any(folder.glob(f"test_{name}.py")) or any(folder.glob(f"test_{name}_*.py"))


def test_every_module_has_its_own_tests() -> None:
    packages = {name.rpartition(".")[0] for name in _modules()}
    doing = [name for name, tree in _modules().items() if _has_logic(tree) and name not in packages]
    untested = [name for name in doing if name != "proxy.__main__" and not _has_own_test(name)]
    assert untested == []
    assert TESTED_WITH.keys() <= _modules().keys(), "TESTED_WITH names modules that are gone"
