"""A configuration file for one upstream, as `init` writes it: short, with a comment wherever a person will ask why.

Pure. It holds the place of the secret, never the secret.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

from proxy.cli.output import one_line

Api = Literal["rest", "http", "alb"]

API_NAMES: Final[dict[Api, str]] = {"rest": "REST API", "http": "HTTP API", "alb": "load balancer"}


_COMMANDS: Final = (
    ("check", "is it right?"),
    ("doctor", "does all of it work?"),
    ("run", "serves until Ctrl-C"),
)


@dataclass(frozen=True, kw_only=True)
class Secret:
    """Where the client secret is: a key of `client_secret` and what it is given."""

    kind: Literal["env", "file", "secrets_manager"]
    place: str
    region: str | None = None
    policy: str | None = None
    """ARN of a policy that lets a role read it."""

    @property
    def source(self) -> dict[str, str]:
        """What `client_secret` is given, without what needs the secret to be known."""
        region = self.region if not self.place.startswith("arn:") else None
        return {self.kind: self.place, **({"region": region} if region else {})}

    def lines(self, indent: str) -> list[str]:
        """The key `client_secret` with what a person should know about it."""
        if self.kind == "env":
            why = "read at the start; {file: PATH} instead is watched, so that the secret can change meanwhile"
            return [f"{indent}# {why}", f"{indent}client_secret: {_yaml(self.source)}"]
        if self.kind == "file":
            why = "watched: write the new secret into it, and it is used"
            return [f"{indent}# {why}", f"{indent}client_secret: {_yaml(self.source)}"]
        lines = [
            f"{indent}client_secret: # read by the AWS credentials of the process; pip install 'cognito-sidecar[aws]'",
            f"{indent}  secrets_manager: {_yaml(self.place)}",
            f"{indent}  key: client_secret # of the JSON object that the secret is; without key: the whole text",
        ]
        if "region" in self.source:
            lines.append(f"{indent}  region: {_yaml(self.region)}")
        if self.policy is not None:
            lines.insert(0, f"{indent}# the policy that allows it: {one_line(self.policy)}")
        return lines


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One upstream."""

    name: str
    origin: str
    """Where the values are from, in words."""
    listen: str
    admin: str | None
    url: str
    api: Api | None
    others: tuple[tuple[Api, str], ...]
    """Further gateways of the same stack."""
    token_url: str
    client_id: str
    secret: Secret
    scopes: tuple[str, ...]
    server_name: str | None
    """The name on the upstream's certificate, where it is not the URL's."""


def write(draft: Draft, file: str) -> str:
    """The file's text; `file` is what it will be called."""
    shell = [(f"cognito-sidecar {command} --config {_quoted(file)}", what) for command, what in _COMMANDS]
    shell.append((_curl(draft.listen), "without credentials"))
    width = max(len(command) for command, _ in shell)
    lines = [
        f"# The configuration of cognito-sidecar, written by `cognito-sidecar init` from {one_line(draft.origin)}.",
        "#",
        *(f"#   {command:<{width}}   {what}" for command, what in shell),
        "#",
        "# config.example.yaml has every other key with its default.",
        "",
        "upstreams:",
        f"  {_yaml(draft.name)}: # its name in metrics, logs and commands",
        f"    listen: {_yaml(draft.listen)} # where callers on this machine reach it",
        *_url(draft),
        "    auth:",
        f"      token_url: {_yaml(draft.token_url)}",
        f"      client_id: {_yaml(draft.client_id)} # no secret",
        *draft.secret.lines("      "),
        f"      scopes: {_yaml(list(draft.scopes))}{'' if draft.scopes else ' # all that the client may have'}",
    ]
    if draft.server_name is not None:
        lines += ["    tls:", f"      server_name: {_yaml(draft.server_name)} # the name on its certificate"]
    if draft.admin is not None:
        lines += ["", "admin:", f"  listen: {_yaml(draft.admin)} # probes, metrics and a page"]
    return "\n".join(lines) + "\n"


def _curl(listen: str) -> str:
    if listen.startswith("unix:"):
        return f"curl --unix-socket {_quoted(listen.removeprefix('unix:'))} http://localhost/"
    return f"curl http://{listen}/"


def _quoted(path: str) -> str:
    """A path as a word for the shell, on one line."""
    return shlex.quote(path) if path.isprintable() else "FILE"


def _url(draft: Draft) -> list[str]:
    what = f" # the {API_NAMES[draft.api]}" if draft.api else ""
    lines = [f"    url: {_yaml(draft.url)}{what}"]
    lines += [f"    # the {API_NAMES[api]} behind the same client: {one_line(url)}" for api, url in draft.others]
    return lines


def _yaml(value: Any) -> str:
    """A value on one line, quoted where it must be."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1_000_000, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
