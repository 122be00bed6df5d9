"""`cognito-sidecar doctor`: each upstream, step by step, with what is wrong, what it means and what to do."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from proxy import hardening
from proxy.cli.command import Command, config_option
from proxy.cli.loading import load_config_in_part
from proxy.cli.loop import run_async
from proxy.cli.output import one_line
from proxy.clock import SystemClock
from proxy.config.loading import Part
from proxy.config.model import Upstream
from proxy.config.walk import BROKEN
from proxy.doctor import Finding, Mark, examine, examine_cache, look_at_unusable
from proxy.doctor.asking import Asked

_MARKS: Final = {Mark.OK: ("✓", "ok", "32"), Mark.WARN: ("!", "!", "33"), Mark.FAIL: ("✗", "FAIL", "31")}
"""In a terminal, elsewhere, and the colour (ECMA-48, SGR)."""
_SKIPPED: Final = ("-", "-", "2")

_PATH: Final = re.compile(r"/[!-\"$-~]*")
"""And a query: what a request line may hold (RFC 9112 §3.2.1), so no fragment."""
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NEVER_FORWARDED: Final = ("CONNECT", "TRACE")


def _path(_: click.Context, param: click.Parameter, value: str) -> str:
    """An option's callback."""
    if not value.startswith("/"):
        raise click.BadParameter(f"{value!r} does not begin with a slash.", param=param)
    if not _PATH.fullmatch(value):
        raise click.BadParameter(f"{value!r} has characters that must be percent-encoded.", param=param)
    return value


def _method(_: click.Context, param: click.Parameter, value: str) -> str:
    """An option's callback."""
    if not _METHOD.fullmatch(value) or value.upper() in _NEVER_FORWARDED:
        raise click.BadParameter(f"{value!r} is no method that the sidecar forwards.", param=param)
    return value.upper()


@click.command(
    "doctor",
    cls=Command,
    short_help="Look at each upstream step by step, and say what is wrong.",
    examples=[
        "cognito-sidecar doctor",
        "cognito-sidecar doctor orders --path /orders/1",
        "cognito-sidecar doctor --json | jq '.upstreams.orders[] | select(.result == \"fail\")'",
    ],
    exit_codes={
        0: "Nothing fails; there may be warnings.",
        1: "Something fails, which may be that a file, a variable or a secret cannot be read.",
        2: "The configuration is wrong, or it has no upstream of that name.",
    },
)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option(
    "--path", default="/", show_default=True, metavar="PATH", callback=_path, help="What to ask the upstream for."
)
@click.option(
    "--method", default="GET", show_default=True, metavar="METHOD", callback=_method, help="How to ask for it."
)
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document.")
@config_option
@click.pass_context
def command(
    ctx: click.Context, names: tuple[str, ...], path: str, method: str, as_json: bool, config: str | None
) -> None:
    """Try everything that a request needs, for each upstream or those named: the token endpoint's name, connection and
    TLS; the credentials; a token, its scopes, issuer, life and signature; this machine's clock; the upstream without
    the token and with it; and the token cache, where there is one. What an API Gateway's answer means is said in words.
    Where a file, a variable or a secret cannot be read, all that does not depend on it is tried.

    It uses the configuration but no running sidecar, and changes nothing. It asks for a token with each configured
    secret, and each is a call that Cognito bills.
    """
    hardening.keep_to_itself(os.environ)
    part = load_config_in_part(config)
    upstreams = part.config.upstreams
    for name in names:
        if name not in upstreams:
            raise click.UsageError(f"No such upstream '{name}'. The configuration has {', '.join(upstreams)}.")
    chosen = {name: upstreams[name] for name in names or upstreams}
    found = run_async(_all(chosen, Asked(method, path), part, silent=as_json))
    others = run_async(_others(part, silent=as_json))
    good = all(
        finding.mark is not Mark.FAIL for findings in (*found.values(), *others.values()) for finding in findings
    )
    if as_json:
        told = {"ok": good, "upstreams": {name: _plain(findings) for name, findings in found.items()}}
        click.echo(json.dumps(told | {name: _plain(findings) for name, findings in others.items()}, indent=2))
    ctx.exit(0 if good else 1)


async def _all(
    upstreams: Mapping[str, Upstream], asked: Asked, part: Part, *, silent: bool
) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for index, (name, upstream) in enumerate(upstreams.items()):
        _head(name, upstream.url, silent=silent, first=not index)
        steps = examine(upstream, asked, SystemClock(), part.lacks(f"upstreams.{name}."))
        found[name] = [_seen(finding, silent=silent) async for finding in steps]
    return found


async def _others(part: Part, *, silent: bool) -> dict[str, list[Finding]]:
    """Of what belongs to no upstream: the token cache, and other values that cannot be used, by the names in --json."""
    found: dict[str, list[Finding]] = {}
    settings = part.config.token_cache
    if settings is not None:
        _head("token_cache", settings.url.reveal(), silent=silent)
        steps = examine_cache(settings, SystemClock(), part.lacks("token_cache."))
        found["token_cache"] = [_seen(finding, silent=silent) async for finding in steps]
    if lacks := [lack for lack in part.unusable if not lack.path.startswith(("upstreams.", "token_cache."))]:
        _head("configuration", BROKEN, silent=silent)
        found["configuration"] = [_seen(finding, silent=silent) for finding in look_at_unusable(lacks)]
    return found


def _head(name: str, place: object, *, silent: bool, first: bool = False) -> None:
    if not silent:
        where = "" if place is BROKEN else f"  {place}"
        click.echo(("" if first else "\n") + _styled(name, "1") + where, color=True)


def _seen(finding: Finding, *, silent: bool) -> Finding:
    if not silent:
        show(finding)
    return finding


def show(finding: Finding) -> None:
    """A step as a line; what it means and what to do on two more where there is something wrong."""
    encoding = (sys.stdout.encoding or "").lower()
    sign, plain, colour = _MARKS.get(finding.mark, _SKIPPED)
    sign = sign if encoding.startswith("utf") else plain
    sign = _styled(sign, colour)
    detail = finding.detail if finding.mark is not Mark.SKIP else f"not tried, {finding.detail}"
    click.echo(f"  {sign} {finding.step}: {one_line(detail)}", color=True)
    if finding.explanation is not None:
        if finding.explanation.meaning not in finding.detail:
            click.echo(f"      means: {finding.explanation.meaning}")
        click.echo(f"      to do: {finding.explanation.remedy}")


def _styled(text: str, style: str) -> str:
    """`style` is an SGR parameter. Nothing but the text where it is no terminal, a dumb one, or NO_COLOR says so."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else f"\x1b[{style}m{text}\x1b[0m"


def _plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "step": finding.step,
            "result": finding.mark.value,
            "detail": finding.detail,
            "name": finding.name or None,
            "meaning": finding.explanation.meaning if finding.explanation else None,
            "to_do": finding.explanation.remedy if finding.explanation else None,
        }
        for finding in findings
    ]
