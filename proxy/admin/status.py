"""`/status`: everything the page shows, as JSON for programs. Never a secret or a token.

The shape is public interface: keys may be added, none may be dropped or change its meaning.
"""

from __future__ import annotations

import json
from typing import Any

from proxy.admin.health import health
from proxy.admin.probes import readyz
from proxy.admin.process import usage
from proxy.admin.view import LastError, SecretStatus, UpstreamView, View
from proxy.admin.words import iso, one_line
from proxy.clock import Reading
from proxy.explanations import cache_remedy, remedy, secret_remedy
from proxy.stats import CacheStats, UpstreamStats


def status(view: View, now: Reading) -> dict[str, Any]:
    """The sidecar as plain JSON values. Times are ISO 8601 in UTC, lengths of time are seconds, None where unknown."""
    return {
        "version": view.version,
        "python": view.python,
        "started_at": iso(view.started_at.wall),
        "uptime_seconds": round(max(0.0, now.monotonic - view.started_at.monotonic), 3),
        "config_hash": view.config_hash,
        "config_reloads": {
            "success": view.reloads.get("success", 0),
            "failure": view.reloads.get("failure", 0),
            "last_error": view.last_reload_error,
        },
        "ready": readyz(view, now.wall).good,
        "draining": view.draining,
        "process": _process(view),
        "unrouted": _traffic(view.unrouted),
        "token_cache": None if view.token_cache is None else _token_cache(view.token_cache),
        "secrets": [_secret(secret) for secret in view.secrets()],
        "upstreams": {upstream.name: _upstream(upstream, now.wall) for upstream in view.upstreams()},
    }


def render(view: View, now: Reading) -> bytes:
    """The same as UTF-8 JSON, indented, since people read it too."""
    return (json.dumps(status(view, now), indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def _process(view: View) -> dict[str, int | None]:
    used = usage()
    return {
        "tasks": view.tasks,
        "caller_connections": view.caller_connections,
        "open_fds": used.open_fds,
        "resident_bytes": used.resident_bytes,
    }


def _secret(secret: SecretStatus) -> dict[str, Any]:
    error = secret.last_error
    return {
        "secrets_manager": secret.id,
        "region": secret.region or None,
        "version": secret.version,
        "has_previous": secret.has_previous,
        "read_at": iso(secret.read_at),
        "changed_at": iso(secret.changed_at),
        "next_read_at": iso(secret.next_read_at),
        "failing": secret.failing,
        "last_error": None if error is None else {**_error(error), "to_do": secret_remedy(error.reason)},
    }


def _token_cache(cache: CacheStats) -> dict[str, Any]:
    operations: dict[str, dict[str, int]] = {}
    for (operation, result), count in sorted(cache.operations.items()):
        operations.setdefault(operation, {})[result] = count
    return {
        "consecutive_failures": cache.consecutive_failures,
        "left_alone": cache.left_alone,
        "trouble": cache.trouble,
        "to_do": None if cache.trouble is None else cache_remedy(cache.trouble),
        "operations": operations,
    }


def _error(error: LastError) -> dict[str, Any]:
    return {"reason": error.reason, "detail": one_line(error.detail), "at": iso(error.at)}


def _upstream(upstream: UpstreamView, now: float) -> dict[str, Any]:
    token = upstream.token
    verdict = health(token, now)
    error = token.last_error
    return {
        "state": token.state,
        "ready": verdict.ready,
        "health": verdict.sentence,
        "required": upstream.required,
        "listen": upstream.listen,
        "local_url": upstream.local_url,
        "url": upstream.url,
        "token_id": token.token_id,
        "token_number": token.number,
        "scopes": list(token.scopes),
        "token_from": token.origin,
        "secret": token.secret,
        "secrets": [
            {
                "origin": use.origin,
                "in_use": use.in_use,
                "in_use_since": iso(use.in_use_since),
                "accepted_at": iso(use.accepted_at),
                "refused_at": iso(use.refused_at),
            }
            for use in token.secrets
        ],
        "at_rest": token.at_rest,
        "obtained_at": iso(token.obtained_at),
        "renew_at": iso(token.renew_at),
        "expires_at": iso(token.expires_at),
        "lifetime_seconds": token.lifetime,
        "last_error": None if error is None else {**_error(error), "to_do": remedy(error.reason)},
        "consecutive_failures": token.consecutive_failures,
        "fetching": token.fetching,
        "next_attempt_at": iso(token.next_attempt_at),
        "token_calls": {
            "success": upstream.token_stats.successes,
            "failure": sum(upstream.token_stats.failures.values()),
        },
        "waiters": upstream.token_stats.waiters,
        **_traffic(upstream.stats),
        "unauthorized": dict(upstream.stats.unauthorized),
        "connections": {"idle": upstream.connections_idle, "busy": upstream.connections_busy},
    }


def _traffic(stats: UpstreamStats) -> dict[str, Any]:
    codes: dict[str, int] = {}
    for (_, code), count in sorted(stats.requests.items(), key=lambda item: item[0][1]):
        codes[str(code)] = codes.get(str(code), 0) + count
    return {
        "requests": {"total": sum(codes.values()), "in_flight": stats.in_flight, "by_code": codes},
        "errors": dict(stats.errors),
    }
