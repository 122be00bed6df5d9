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
from proxy.cli.loading import load_config
from proxy.cli.loop import run_async
from proxy.cli.output import one_line
from proxy.clock import SystemClock
from proxy.config.model import TokenCache, Upstream
from proxy.doctor import Finding, Mark, examine, examine_cache
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
        1: "Something fails, or secrets in Secrets Manager cannot be read just now.",
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

    It uses the configuration but no running sidecar, and changes nothing. It asks for a token with each configured
    secret, and each is a call that Cognito bills.
    """
    hardening.keep_to_itself(os.environ)
    loaded = load_config(config).config
    upstreams, cache = loaded.upstreams, loaded.token_cache
    for name in names:
        if name not in upstreams:
            raise click.UsageError(f"No such upstream '{name}'. The configuration has {', '.join(upstreams)}.")
    chosen = {name: upstreams[name] for name in names or upstreams}
    found = run_async(_all(chosen, Asked(method, path), silent=as_json))
    shared = None if cache is None else run_async(_cache(cache, silent=as_json))
    good = all(finding.mark is not Mark.FAIL for findings in (*found.values(), shared or ()) for finding in findings)
    if as_json:
        told = {"ok": good, "upstreams": {name: _plain(findings) for name, findings in found.items()}}
        told |= {} if shared is None else {"token_cache": _plain(shared)}
        click.echo(json.dumps(told, indent=2))
    ctx.exit(0 if good else 1)


async def _all(upstreams: Mapping[str, Upstream], asked: Asked, *, silent: bool) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for index, (name, upstream) in enumerate(upstreams.items()):
        if not silent:
            click.echo(("\n" if index else "") + _styled(name, "1") + f"  {upstream.url}", color=True)
        findings = found[name] = []
        async for finding in examine(upstream, asked, SystemClock()):
            findings.append(finding)
            if not silent:
                show(finding)
    return found


async def _cache(settings: TokenCache, *, silent: bool) -> list[Finding]:
    if not silent:
        click.echo("\n" + _styled("token_cache", "1") + f"  {settings.url.reveal()}", color=True)
    findings = []
    async for finding in examine_cache(settings, SystemClock()):
        findings.append(finding)
        if not silent:
            show(finding)
    return findings


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
