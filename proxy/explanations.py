"""What can be wrong, what it means and what to do: the one table that answers, pages, `doctor` and the docs read.

Meanings and remedies are one line each, for a person who sees them at night. Nothing of a request or an answer is
quoted here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from proxy.errors import REASONS, Reason


class Explanation(NamedTuple):
    """One thing that can be wrong."""

    meaning: str
    """A clause without a full stop, as it stands after `invalid_client: `."""
    remedy: str
    """One sentence that says what to do."""


TOKEN: Final[dict[Reason, Explanation]] = {
    "invalid_client": Explanation(
        "the token endpoint does not accept this client id and secret",
        "Compare client_id and client_secret with the app client of the user pool that token_url belongs to; "
        "while a secret is rotated, list both.",
    ),
    "invalid_scope": Explanation(
        "the token endpoint does not give this client the scopes that it asks for",
        "Compare auth.scopes with the app client's allowed custom scopes, written as resource-server/scope.",
    ),
    "unauthorized_client": Explanation(
        "this client is not allowed to use the client_credentials grant",
        "Allow the OAuth flow client_credentials for the app client (AllowedOAuthFlows and "
        "AllowedOAuthFlowsUserPoolClient).",
    ),
    "invalid_grant": Explanation(
        "the token endpoint refuses the client_credentials grant to this client",
        "Allow the OAuth flow client_credentials, and at least one custom scope, for the app client.",
    ),
    "invalid_request": Explanation(
        "the token endpoint misses a field of the request or does not expect one",
        "Compare auth.method and auth.extra_params with what the endpoint wants; an app client without a secret "
        "cannot be used.",
    ),
    "unsupported_grant_type": Explanation(
        "the token endpoint does not know the client_credentials grant",
        "Check token_url: it ends in /oauth2/token at Cognito; another identity provider must have the grant "
        "switched on.",
    ),
    "throttled": Explanation(
        "the token endpoint asks for fewer calls",
        "Nothing now: a running sidecar tries again as asked. If it lasts, see which others of the account and region "
        "call it (Cognito: 150 calls a second), lengthen the token's life, and let many sidecars share tokens "
        "(token_cache).",
    ),
    "server_error": Explanation(
        "the token endpoint failed",
        "Nothing here: a running sidecar tries again. See the identity provider's own status.",
    ),
    "malformed_response": Explanation(
        "what answered at token_url is no token endpoint, or gave no usable token",
        "Open token_url's host in a browser: a wrong domain, a login page, a firewall or a proxy may answer in "
        "its place.",
    ),
    "timeout": Explanation(
        "the token endpoint did not answer in time",
        "Check the way there (egress rules, proxy, DNS); raise auth.request_timeout if it is only slow.",
    ),
    "connection": Explanation(
        "there is no connection to the token endpoint",
        "Check the host of token_url, DNS, egress rules and the egress proxy from where the sidecar runs.",
    ),
    "tls": Explanation(
        "the TLS connection to the token endpoint cannot be trusted",
        "For a private CA set auth.tls.ca_file; if a proxy opens TLS on the way, add its CA; check this machine's "
        "clock.",
    ),
    "credentials": Explanation(
        "the client's own credentials cannot be read or sent",
        "Check the files and variables that client_id, client_secret and auth.tls name, and their permissions.",
    ),
}
"""By the reason that metrics, `/status` and the log give."""

SECRETS: Final[dict[str, Explanation]] = {
    "not_found": Explanation(
        "there is no such secret",
        "Check its name or ARN, and the region: a secret is in one region of one account, and seen from no other.",
    ),
    "deleted": Explanation(
        "it cannot be read: it is marked for deletion, or has no value yet",
        "Restore it (`aws secretsmanager restore-secret`), or give it a value.",
    ),
    "invalid": Explanation(
        "it is not what a value can be taken from",
        "Check the name; a secret that is binary must be UTF-8 text.",
    ),
    "access_denied": Explanation(
        "this identity may not read it",
        "Allow secretsmanager:GetSecretValue for the secret's ARN, and kms:Decrypt where it has a KMS key of its "
        "own; see whether the secret has a resource policy.",
    ),
    "credentials": Explanation(
        "there are no AWS credentials to read it with, or AWS does not accept them",
        "See which ones `aws sts get-caller-identity` finds here: IRSA or Pod Identity on the service account, an "
        "instance's role, AWS_PROFILE; check this machine's clock.",
    ),
    "decryption": Explanation(
        "Secrets Manager cannot decrypt it",
        "See whether the secret's KMS key is there and enabled.",
    ),
    "no_region": Explanation(
        "no region is set",
        "Give the value a region, or set AWS_REGION.",
    ),
    "settings": Explanation(
        "the endpoint, or another of AWS's settings, is not valid",
        "Check AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SECRETS_MANAGER and the AWS configuration file.",
    ),
    "extra": Explanation(
        "reading it takes boto3",
        "Install the extra: pip install 'cognito-sidecar[aws]'.",
    ),
    "throttled": Explanation(
        "Secrets Manager is asked too often",
        "Nothing now: a running sidecar tries again. If it lasts, see which others of the account and region call it.",
    ),
    "server_error": Explanation(
        "Secrets Manager has an error of its own",
        "Nothing here: a running sidecar tries again.",
    ),
    "timeout": Explanation(
        "Secrets Manager did not answer in time",
        "Check the way there: egress rules, VPC endpoint, proxy (HTTPS_PROXY, NO_PROXY), DNS.",
    ),
    "connection": Explanation(
        "Secrets Manager cannot be reached",
        "Check the way there: egress rules, VPC endpoint, proxy (HTTPS_PROXY, NO_PROXY), DNS.",
    ),
    "tls": Explanation(
        "the certificate of Secrets Manager cannot be verified",
        "If a proxy opens TLS on the way, name its CA in AWS_CA_BUNDLE; check this machine's clock.",
    ),
    "unknown": Explanation(
        "it cannot be read",
        "Try `aws secretsmanager get-secret-value --secret-id ID --query VersionId` with the same identity.",
    ),
}
"""By the reason why a secret in Secrets Manager cannot be read; each meaning stands after the secret's name."""

CACHE: Final[dict[str, Explanation]] = {
    "timeout": Explanation(
        "the engine did not answer in time",
        "See how long it takes from here, and whether it is busy or swapping; raise token_cache.timeout if it is only "
        "far away.",
    ),
    "connection": Explanation(
        "the engine cannot be reached, or TLS to it failed",
        "Check token_cache.url, DNS and egress rules from where the sidecar runs; redis:// or rediss://; "
        "token_cache.ca_file for a private CA, cert_file and key_file where it wants a client certificate.",
    ),
    "denied": Explanation(
        "the engine does not let this user in, or not do what is needed",
        "Compare token_cache.username and password with the engine's ACL: GET, GETRANGE, SET, EVAL, DEL and PEXPIRE on "
        "names that begin with token_cache.key_prefix.",
    ),
    "full": Explanation(
        "the engine has no memory left for more",
        "Raise its maxmemory, or let it drop what is old (maxmemory-policy volatile-ttl or allkeys-lru).",
    ),
    "error": Explanation(
        "the engine answers with an error",
        "See its log: it may be starting, a replica that takes no writes, or no Redis at all; a cluster wants "
        "redis+cluster:// or rediss+cluster://.",
    ),
}
"""By what is wrong with the engine of the shared token cache."""

OTHER: Final[dict[str, Explanation]] = {
    # Connections, to the token endpoint and the upstream alike.
    "name_not_found": Explanation(
        "the name does not resolve from here",
        "Check the spelling of the host, and DNS where the sidecar runs; a Cognito domain exists only once it is "
        "created.",
    ),
    "no_connection": Explanation(
        "nothing answers at this address and port, or a firewall is in between",
        "Check host and port, egress rules (NetworkPolicy, security group) and whether an egress proxy is needed.",
    ),
    "proxy_failed": Explanation(
        "the egress proxy does not open a tunnel",
        "Check egress_proxy or HTTPS_PROXY: address, credentials, and whether this host and port are allowed there.",
    ),
    "certificate_untrusted": Explanation(
        "the certificate is by an authority that is not trusted here",
        "For a private CA set tls.ca_file (auth.tls.ca_file for the token endpoint); if a proxy opens TLS on the way, "
        "add its CA there.",
    ),
    "certificate_other_name": Explanation(
        "the certificate is for another name",
        "Check the host; where it is right, set tls.server_name (auth.tls.server_name for the token endpoint) to a "
        "name that the certificate has.",
    ),
    "certificate_expired": Explanation(
        "the certificate has ended, or is not valid yet",
        "Whoever runs the server should renew it; before that, check this machine's clock.",
    ),
    "no_tls": Explanation(
        "what answers there does not speak TLS",
        "Check port and scheme: https goes to a port that speaks TLS, 443 as a rule.",
    ),
    "tls_failed": Explanation(
        "TLS could not be agreed on",
        "See whether the server wants a client certificate (tls.cert_file), knows the name that it is asked for "
        "(tls.server_name), and speaks TLS 1.2 or newer; the files that tls names must be there and in order.",
    ),
    "certificate_ends_soon": Explanation(
        "the server's certificate ends within two weeks",
        "Whoever runs the server should renew it; a certificate that has ended stops every request.",
    ),
    # The configuration's values.
    "variable_not_set": Explanation(
        "a value comes from an environment variable, and there is none of this name here",
        "Set it where the sidecar is started (in a container: env or envFrom), or correct its name; run doctor where "
        "the sidecar runs.",
    ),
    "file_unreadable": Explanation(
        "a value comes from a file, and the file cannot be read here",
        "Check the path (relative ones begin at the configuration's folder), the mount, and that the sidecar's user "
        "may read the file and search its folders.",
    ),
    "secret_of_other_form": Explanation(
        "the secret can be read, but what the value should be is not in it",
        "Compare key with the names in the secret's JSON object; leave key out for a secret that is plain text.",
    ),
    "looks_wrong": Explanation(
        "the value does not look like what it should be",
        "Look for quotes, spaces, a line break or a placeholder where it comes from, and that it is not empty.",
    ),
    # The token.
    "scopes_missing": Explanation(
        "the token lacks scopes that were asked for",
        "Allow these scopes for the app client; an API that wants them answers 401 or 403 without them.",
    ),
    "short_life": Explanation(
        "the token lives for less than five minutes",
        "Lengthen the app client's access token validity: each renewal is a call that is billed and limited.",
    ),
    "other_client": Explanation(
        "the token was issued to another client than the configured one",
        "Check whether token_url and client_id belong together.",
    ),
    "no_access_token": Explanation(
        "the token says of itself that it is no access token",
        "Check the identity provider's settings: an ID token is refused by authorizers that check scopes.",
    ),
    "clock_skew": Explanation(
        "this machine's clock and the token endpoint's differ",
        "Set this machine's clock by NTP: others refuse tokens that seem to be expired or not yet valid.",
    ),
    "keys_unavailable": Explanation(
        "the issuer's keys cannot be fetched from here, so the signature was not checked",
        "Nothing for the sidecar, which does not need them; whoever verifies the token does.",
    ),
    "bad_signature": Explanation(
        "the token's signature does not fit the issuer's keys",
        "Check that token_url belongs to the issuer that the token names; every API will refuse this token.",
    ),
    # What the upstream says.
    "open_to_all": Explanation(
        "the upstream answers without a token as well",
        "Check that the route has its authorizer, or that this path is meant to be public; try --path with "
        "another one.",
    ),
    "not_authorized": Explanation(
        "the upstream refuses the token",
        "Compare the upstream's issuer, audience and scopes with what the token says (`token NAME --decode`).",
    ),
    "rest_unauthorized": Explanation(
        "the REST API's authorizer refuses the token",
        "Give the method an OAuth scope (without one an access token is taken for an ID token and refused), ask "
        "for that scope, and check the authorizer's user pool; deploy the stage after a change.",
    ),
    "rest_unauthorized_as_sent": Explanation(
        "the REST API's authorizer refuses the token, or does not look for it where and as it is sent",
        "Compare auth.header and auth.scheme with the authorizer's token source, Authorization with Bearer or the bare "
        "token as a rule; if they are right, give the method an OAuth scope, ask for that scope, and check the "
        "authorizer's user pool.",
    ),
    "not_authorized_as_sent": Explanation(
        "the upstream refuses the token, or does not look for it where and as it is sent",
        "Compare auth.header and auth.scheme with what the upstream wants, Authorization with Bearer as a rule; if "
        "they are right, its issuer, audience and scopes with what the token says (`token NAME --decode`).",
    ),
    "signature_disputed": Explanation(
        "the authorizer finds fault with the signature, though it is by a key of the token's issuer: it sees something "
        "other than the token, or looks at another issuer's keys",
        "Compare auth.scheme and auth.header with the authorizer's identity source, Bearer in Authorization as a rule, "
        "and the authorizer's issuer and audience with the token's (`token NAME --decode`).",
    ),
    "rest_unknown_route": Explanation(
        "the REST API has no such route: to an unknown path or method it says `Missing Authentication Token` or, with "
        "a token, that the Authorization header lacks a signature or an equal-sign",
        "Check the stage in url and the path and method (--path, --method); deploy the stage after a change. A method "
        "with AWS_IAM in place of a Cognito authorizer says the same.",
    ),
    "token_expired": Explanation(
        "API Gateway takes the token for expired although it is new",
        "Set this machine's clock by NTP, and see whether something on the way replaces the token.",
    ),
    "forbidden": Explanation(
        "the upstream knows the caller and does not allow this: a scope, an API key, a resource policy or a firewall",
        "HTTP API: ask for the route's scope. REST API: set x-api-key by headers.set where the method wants a "
        "key. Else see its resource policy and its WAF.",
    ),
    "wrong_audience": Explanation(
        "the HTTP API's JWT authorizer does not have this client in its audience",
        "Add the app client's id to the authorizer's Audience: Cognito's access tokens have no aud, so client_id "
        "is compared.",
    ),
    "wrong_issuer": Explanation(
        "the authorizer expects tokens of another issuer",
        "Set the authorizer's issuer to the token's iss: https://cognito-idp.REGION.amazonaws.com/POOL_ID.",
    ),
    "not_a_jwt": Explanation(
        "the authorizer finds no JWT in the header that it looks at",
        "Check auth.header and auth.scheme against the authorizer's identity source.",
    ),
    "no_route": Explanation(
        "the upstream has no such path, but the token is not what it complains about",
        "Try a path that exists with --path; check the base path in url.",
    ),
    "upstream_throttled": Explanation(
        "the upstream limits the rate, or its quota is used up",
        "See the stage's throttling and the usage plan of the API key.",
    ),
    "integration_failed": Explanation(
        "the gateway let the request in, but what is behind it failed or took too long",
        "See the integration's own log (Lambda, VPC link); API Gateway waits for 29 s.",
    ),
    "upstream_failed": Explanation(
        "the upstream answers with an error of its own",
        "See the upstream's log; the token is not what it complains about.",
    ),
    "too_slow": Explanation(
        "the upstream did not answer in time",
        "See what it does meanwhile; raise timeouts.response if it is only slow (API Gateway gives up after 29 s).",
    ),
    "no_answer": Explanation(
        "the upstream ended the connection without an answer",
        "If it wants a client certificate, set tls.cert_file and tls.key_file to one that it knows; else see its log.",
    ),
    "not_http": Explanation(
        "what the upstream answers is not acceptable HTTP",
        "Check host, port and scheme of url: something else may listen there.",
    ),
    "redirected": Explanation(
        "the upstream answers with a redirect, which the sidecar passes on and never follows",
        "Set url to where it points, if that is the API itself.",
    ),
}
"""By the names that `doctor` gives."""


def explain(name: str) -> Explanation:
    """The explanation of a reason, of a name of `OTHER`, of one of `CACHE` after `cache:`, or of one of `SECRETS` after
    `secret:`. Raises KeyError."""
    for prefix, table in (("cache:", CACHE), ("secret:", SECRETS)):
        if name.startswith(prefix):
            return table[name.removeprefix(prefix)]
    return OTHER[name] if name in OTHER else TOKEN[name]  # type: ignore[index]


def remedy(reason: str) -> str:
    """What to do about a reason; nothing for one that is not known."""
    return next((known.remedy for name, known in TOKEN.items() if name == reason), "")


def cache_meaning(trouble: str) -> str:
    """What is wrong with the shared token cache, as a clause."""
    return CACHE[trouble].meaning


def cache_remedy(trouble: str) -> str:
    """What to do about it."""
    return CACHE[trouble].remedy


def secret_remedy(reason: str) -> str:
    """What to do about a secret that cannot be read; nothing for a reason that is not known."""
    return SECRETS[reason].remedy if reason in SECRETS else ""


def with_remedy(reason: Reason, detail: str) -> str:
    """`reason: detail.` and what to do, as a caller reads it in a problem's detail and a person on the page."""
    return f"{reason}: {detail}. {remedy(reason)}"


assert TOKEN.keys() == {*REASONS}  # noqa: S101  (a reason without an explanation would be found at night)
