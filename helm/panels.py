"""The dashboard's panels, row by row: what each shows, and what a person should know who looks at it.

Every expression is run by tests/oncall on a real Prometheus that scraped real sidecars, and has to have data there.
"""

from __future__ import annotations

from typing import Final

from helm.grafana import Panel, Query, Row, Step, lines, stat, table
from helm.promql import (
    AWAKE,
    LATELY,
    LEFT,
    NOW,
    OF_SIDECARS,
    ONLY_SIDECARS,
    REQUESTS,
    of,
    or_none,
    process,
    quantile,
    sidecar,
)

BAD: Final = "red"
WARNING: Final = "orange"
GOOD: Final = "green"
PLAIN: Final = Step(None, "blue")
"""For numbers that are neither good nor bad."""


def by_result(title: str, about: str, counter: str) -> Panel:
    """What went well and what did not, of something that happens now and then."""
    return lines(
        title,
        about,
        Query(f"sum by (result) (increase({counter}{NOW}))", "{{result}}"),
        colors={"success": GOOD, "failure": BAD},
        bars=True,
        stacked=True,
    )


def at_a_glance() -> Row:
    uncured = of("unauthorized_total", 'outcome!="replayed"')
    firing = f'ALERTS{{alertname=~"CognitoSidecar.+", alertstate="firing", {OF_SIDECARS}}}'
    broken = f"count({sidecar('config_last_reload_successful')} == 0)"
    return Row(
        "At a glance",
        [
            stat("Sidecars", "That were scraped.", f"count({sidecar('build_info')})", PLAIN),
            stat(
                "Without a token",
                "Upstreams of all sidecars whose requests get 503 token_unavailable. At rest they do not count.",
                or_none(f"count({of('token_usable')} == 0 {AWAKE})"),
                Step(1, BAD),
            ),
            stat(
                "Renewal fails",
                "Upstreams of all sidecars whose last call of the token endpoint failed.",
                or_none(f"count({of('token_consecutive_failures')} > 0 {AWAKE})"),
                Step(1, WARNING),
                Step(10, BAD),
            ),
            stat(
                "Least left of a token",
                "Of its life. By default a quarter is left when a token is renewed.",
                f"min({LEFT} / {of('token_lifetime_seconds')} {AWAKE})",
                Step(None, BAD),
                Step(0.15, WARNING),
                Step(0.19, GOOD),
                unit="percentunit",
            ),
            stat("Requests", "A second.", f"sum({REQUESTS})", PLAIN, unit="reqps"),
            stat(
                "Own errors",
                "The share of requests that the sidecar answered itself.",
                f"sum(rate({of('errors_total')}{NOW})) / sum(rate({of('requests_total')}{NOW}))",
                Step(0.01, WARNING),
                Step(0.05, BAD),
                unit="percentunit",
            ),
            stat(
                "401 for callers",
                "The share of requests that ended with a 401 of the upstream which a new token did not cure.",
                f"sum(rate({uncured}{NOW})) / sum({REQUESTS})",
                Step(0.001, WARNING),
                Step(0.05, BAD),
                unit="percentunit",
            ),
            stat("Broken configurations", "Sidecars whose files cannot be loaded.", or_none(broken), Step(1, WARNING)),
            table(
                "Alerts",
                "That fire now. docs/runbook.md has a section for each.",
                firing,
                *("Value", "__name__", "alertstate"),
                width=24,
                height=5,
            ),
        ],
    )


def tokens() -> Row:
    return Row(
        "Tokens",
        [
            lines(
                "Age against life",
                "The oldest token of each upstream. By default it is renewed at the first line; at the second an alert "
                "comes, and at the top it has expired.",
                Query(f"max by (upstream) (1 - {LEFT} / {of('token_lifetime_seconds')} {AWAKE})", "{{upstream}}"),
                unit="percentunit",
                steps=(Step(0.75, WARNING), Step(0.85, BAD)),
                most=1,
            ),
            by_result(
                "Renewals",
                "Calls of the token endpoint. Successes are what Cognito bills.",
                of("token_refreshes_total"),
            ),
            lines(
                "Failures by reason",
                "docs/troubleshooting.md says of each reason what it means and what to do.",
                Query(
                    f"sum by (upstream, reason) (increase({of('token_refresh_failures_total')}{NOW})) > 0",
                    "{{upstream}}: {{reason}}",
                ),
                bars=True,
                stacked=True,
            ),
            lines(
                "Failures in a row",
                "0 is normal, 1 happens, 3 and more is an incident in the making.",
                Query(f"max by (upstream) ({of('token_consecutive_failures')})", "{{upstream}}"),
                steps=(Step(3, WARNING),),
                width=6,
            ),
            lines(
                "Requests that wait for a token",
                "Above 0 for more than a moment: callers feel it.",
                Query(f"sum by (upstream) ({of('token_waiters')})", "{{upstream}}"),
                width=6,
            ),
            lines(
                "Duration of token calls",
                "Over the last hour. Requests do not wait for them, but for the first.",
                *(
                    Query(quantile(share, "token_refresh_duration", LATELY), f"{share:.0%}")
                    for share in (0.5, 0.9, 0.99)
                ),
                unit="s",
                width=6,
            ),
            lines(
                "Client secrets in use",
                "How many sidecars use the first and how many the second: see docs/rotation.md.",
                Query(f"sum by (upstream, secret) ({of('client_secret_in_use')})", "{{upstream}}: {{secret}}"),
                width=6,
            ),
        ],
    )


def requests() -> Row:
    return Row(
        "Requests",
        [
            lines(
                "Requests by code",
                "The status that callers got; 499: they left before there was one.",
                Query(f"sum by (code) (rate({of('requests_total')}{NOW}))", "{{code}}"),
                unit="reqps",
                colors={"^[12]": GOOD, "^3": "blue", "^4": WARNING, "^5": BAD},
                stacked=True,
            ),
            lines(
                "Own errors by name",
                "Answers of the sidecar's own (X-Sidecar-Error); all others are the upstream's.",
                Query(f"sum by (upstream, error) (rate({of('errors_total')}{NOW})) > 0", "{{upstream}}: {{error}}"),
                unit="reqps",
                stacked=True,
            ),
            lines(
                "401s by outcome",
                "replayed: cured by a new token. passed_on, cooling_down: the caller got it.",
                Query(f"sum by (outcome) (rate({of('unauthorized_total')}{NOW}))", "{{outcome}}"),
                unit="reqps",
                colors={"replayed": GOOD, "passed_on": WARNING, "cooling_down": BAD},
                stacked=True,
            ),
            lines(
                "Latency",
                "From a request's head to the end of its answer, the upstream's time included.",
                *(Query(quantile(share, "request_duration", NOW), f"{share:.0%}") for share in (0.5, 0.9, 0.99)),
                unit="s",
            ),
            lines(
                "Requests by upstream",
                "A second.",
                Query(f"sum by (upstream) ({REQUESTS})", "{{upstream}}"),
                unit="reqps",
                stacked=True,
            ),
            lines(
                "In flight",
                "Long streams and WebSockets count as long as they last.",
                Query(f"sum by (upstream) ({of('requests_in_flight')})", "{{upstream}}"),
                stacked=True,
            ),
        ],
    )


def connections() -> Row:
    connects = of("upstream_connects_total", 'result="success"')
    return Row(
        "Connections to upstreams",
        [
            lines(
                "Open",
                "busy near pool.max_connections: requests queue, and end as overloaded.",
                Query(f"sum by (upstream, state) ({of('upstream_connections')})", "{{upstream}}: {{state}}"),
                stacked=True,
            ),
            lines(
                "Attempts to connect",
                "Each costs a TLS handshake; those that fail are upstream_unreachable.",
                Query(
                    f"sum by (upstream, result) (rate({of('upstream_connects_total')}{NOW})) > 0",
                    "{{upstream}}: {{result}}",
                ),
                unit="ops",
            ),
            lines(
                "Requests for each connection",
                "Near 1: the upstream closes sooner than pool.keepalive says.",
                Query(
                    f"sum by (upstream) ({REQUESTS}) / (sum by (upstream) (rate({connects}{NOW})) > 0)", "{{upstream}}"
                ),
            ),
        ],
    )


def program() -> Row:
    cpu = f"rate({process('cpu_seconds_total')}{NOW}) {ONLY_SIDECARS}"
    fds = f"{process('open_fds')} / {process('max_fds')} {ONLY_SIDECARS}"
    return Row(
        "The program",
        [
            table(
                "Versions",
                "What runs where.",
                f"count by (version, python) ({sidecar('build_info')})",
            ),
            table(
                "Configurations",
                "Sidecars with different ones are out of step, where they should have the same.",
                f"count by (namespace, job, hash) ({sidecar('config_info')})",
            ),
            by_result(
                "Readings of the configuration", "A failure keeps the running one.", sidecar("config_reloads_total")
            ),
            lines(
                "Lines of the log that were dropped",
                "Standard error did not take them.",
                Query(f"sum by (instance) (rate({sidecar('log_lines_dropped_total')}{NOW})) > 0", "{{instance}}"),
            ),
            by_result(
                "Readings in Secrets Manager",
                "Those that AWS bills; after a failure, what was read before is used.",
                sidecar("secret_reads_total"),
            ),
            lines(
                "Shared token cache",
                "What its engine was asked for, by how it ended: many hits, and a put for each life of a token.",
                Query(
                    f"sum by (operation, result) (increase({sidecar('token_cache_operations_total')}{NOW})) > 0",
                    "{{operation}}: {{result}}",
                ),
            ),
            lines(
                "Without the token cache",
                "How often its engine has failed in a row; the sidecar calls the token endpoint itself.",
                Query(f"{sidecar('token_cache_consecutive_failures')} > 0", "{{instance}}"),
            ),
            lines(
                "Processor", "Of one core; a sidecar uses one at most.", Query(cpu, "{{instance}}"), unit="percentunit"
            ),
            lines(
                "Memory",
                "Resident.",
                Query(f"{process('resident_memory_bytes')} {ONLY_SIDECARS}", "{{instance}}"),
                unit="bytes",
            ),
            lines(
                "File descriptors",
                "Open ones, of those that it may open.",
                Query(fds, "{{instance}}"),
                unit="percentunit",
            ),
            lines(
                "Uptime",
                "Restarts show as steps down to 0.",
                Query(f"time() - {process('start_time_seconds')} {ONLY_SIDECARS}", "{{instance}}"),
                unit="s",
            ),
        ],
    )
