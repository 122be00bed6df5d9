"""The error tree. The policy stands on the error: its exit code, its HTTP status, whether waiting may cure it.

Errors are raised where a rule is broken and translated once, at the edge: by `proxy.cli` into one line and
an exit code, by `proxy.forward` into an answer. No message in this tree ever holds a credential.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

Reason = Literal[
    "invalid_client",
    "invalid_scope",
    "unauthorized_client",
    "invalid_grant",
    "invalid_request",
    "unsupported_grant_type",
    "throttled",
    "server_error",
    "malformed_response",
    "timeout",
    "connection",
    "tls",
    "credentials",
]
"""Why a token could not be had: the `reason` label of the metrics and of `/status`."""

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class SidecarError(Exception):
    """Anything this program says about itself. `exit_code` is what a command ends with."""

    exit_code: int = 1


class ConfigError(SidecarError):
    """The configuration cannot be used. `problems` holds one line each, `key.path: what is wrong`.

    `files` are those that were read or looked for, as far as it came: a change of one may mend it.
    """

    exit_code = 2

    def __init__(self, problems: list[str] | tuple[str, ...], files: tuple[str, ...] = ()) -> None:
        self.problems = tuple(problems)
        self.files = files
        super().__init__("\n".join(self.problems))


class SecretsUnavailable(ConfigError):
    """Nothing is wrong with the configuration but that secrets of it cannot be read just now.

    Its exit code is that of a program that could not start: whoever starts it again may have better luck.
    """

    exit_code = 1


class StartError(SidecarError):
    """The configuration is good but the program cannot start: a port in use, a socket that cannot be made."""


class TokenError(SidecarError):
    """One call of the token endpoint failed.

    `reason` is one of `Reason`; `detail` is one sentence for a person, without any credential;
    `retry_after` is the endpoint's own Retry-After in seconds, if it sent one. `heard`: no call was made for
    it, since one has just failed, of another sidecar or our own.
    """

    def __init__(self, reason: Reason, detail: str, *, retry_after: float | None = None, heard: bool = False) -> None:
        self.reason: Reason = reason
        self.detail = detail
        self.retry_after = retry_after
        self.heard = heard
        super().__init__(f"{reason}: {detail}")


class TokenUnavailable(SidecarError):
    """No usable token within the time that the request may wait. `retry_after` is in seconds."""

    def __init__(self, detail: str, *, retry_after: float) -> None:
        self.detail = detail
        self.retry_after = retry_after
        super().__init__(detail)


Name = Literal[
    "bad_request",
    "caller_denied",
    "not_allowed",
    "no_route",
    "body_too_large",
    "headers_too_large",
    "upstream_unreachable",
    "upstream_protocol",
    "token_unavailable",
    "overloaded",
    "shutting_down",
    "upstream_timeout",
]
"""The answers that the sidecar itself gives: the `X-Sidecar-Error` header."""


class Kind(NamedTuple):
    """What all answers of one name have in common."""

    status: int
    title: str


KINDS: Final[dict[Name, Kind]] = {
    "bad_request": Kind(400, "The request is not acceptable HTTP"),
    "caller_denied": Kind(403, "This caller may not use the sidecar"),
    "not_allowed": Kind(403, "The sidecar does not forward this method or path"),
    "no_route": Kind(404, "No upstream is configured for this path"),
    "body_too_large": Kind(413, "The request body is larger than the sidecar forwards"),
    "headers_too_large": Kind(431, "The request head is larger than the sidecar accepts"),
    "upstream_unreachable": Kind(502, "The upstream cannot be reached"),
    "upstream_protocol": Kind(502, "The upstream's answer is not acceptable HTTP"),
    "token_unavailable": Kind(503, "There is no usable access token"),
    "overloaded": Kind(503, "The sidecar has no room for this request just now"),
    "shutting_down": Kind(503, "The sidecar is shutting down"),
    "upstream_timeout": Kind(504, "The upstream did not answer in time"),
}


class Refusal(SidecarError):
    """A request that the sidecar answers itself. `detail` is for the caller and holds nothing secret."""

    def __init__(self, name: Name, detail: str, *, retry_after: float | None = None) -> None:
        self.name: Name = name
        self.detail = detail
        self.retry_after = retry_after
        super().__init__(f"{name}: {detail}")
