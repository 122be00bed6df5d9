"""What is wrong between keys: clashes, credentials in clear, headers that belong to the connection, TLS files."""

from __future__ import annotations

import datetime as dt
import re
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proxy.config import certificate_files, checks
from proxy.config.model import Config, GroupId, Peers, UserId
from proxy.socketfile import Access
from tests.config.files import load_data, problems, upstream, upstream_problems
from tests.growth import FEW, MANY, grows_linearly

CLEAR = (
    "plain http to a host that is not loopback sends a credential in clear: "
    "use https, or set upstreams.orders.allow_insecure to true"
)


@pytest.mark.parametrize("url", ["http://api.example.com", "http://127.evil.example/", "http://0.0.0.0", "http://[::]"])
def test_plain_http_sends_a_credential_in_clear(tmp_path: Path, url: str) -> None:
    assert upstream_problems(tmp_path, url=url) == [f"url: {CLEAR}"]
    assert upstream_problems(tmp_path, auth__token_url=url) == [f"auth.token_url: {CLEAR}"]
    assert upstream_problems(tmp_path, url=url, auth__token_url=url, allow_insecure=True) == []


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.2", "http://[::1]:8080/x"])
def test_plain_http_to_loopback(tmp_path: Path, url: str) -> None:
    assert upstream_problems(tmp_path, url=url, auth__token_url=url) == []


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:8080", "sidecar.local:8080"])
def test_remote_clients(tmp_path: Path, listen: str) -> None:
    data: dict[str, Any] = {"upstreams": {"orders": upstream(listen=listen)}}
    [problem] = problems(tmp_path, data)
    assert problem.startswith(f"upstreams.orders.listen: {listen} is not loopback")
    assert problem.endswith("set allow_remote_clients to true")
    assert problems(tmp_path, {**data, "allow_remote_clients": True}) == ()
    assert problems(tmp_path, {**data, "allow_remote_clients": "x"}) == (
        "allow_remote_clients: expected true or false, got a string",
    )


def test_the_admin_listener_may_be_remote(tmp_path: Path) -> None:
    assert problems(tmp_path, {"upstreams": {"a": upstream()}, "admin": {"listen": "0.0.0.0:9090"}}) == ()


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", "a.prefix"),
        ("unix:/run/a", "unix:/run/a", "a.prefix"),
        ("127.0.0.1:80", "127.0.0.1:81", ""),
        ("127.0.0.1:80", "127.0.0.2:80", ""),
        ("127.0.0.1:80", "[::1]:80", ""),
        ("localhost:80", "127.0.0.1:80", "spellings"),
        ("[::1]:80", "localhost:80", "spellings"),
        ("0.0.0.0:80", "127.0.0.1:80", "spellings"),
        ("0.0.0.0:80", "localhost:80", "spellings"),
        ("0.0.0.0:80", "[::1]:80", ""),
        ("127.0.0.1:0", "localhost:0", ""),
        ("unix:/run/a", "unix:/run/b", ""),
        ("unix:/run/a", "127.0.0.1:80", ""),
    ],
)
def test_two_upstreams_on_one_address(tmp_path: Path, one: str, other: str, clash: str) -> None:
    def found(prefix: str) -> tuple[str, ...]:
        both = {"a": upstream(listen=one), "b": upstream(listen=other, prefix=prefix)}
        return problems(tmp_path, {"upstreams": both, "allow_remote_clients": True})

    if clash == "spellings":
        assert ["one address in two spellings" in problem for problem in found("/")] == [True]
        assert found("/b") != ()
    elif clash:
        assert found("/") == (f"upstreams.b.prefix: upstreams a and b have the same listen {one} and prefix /",)
        assert found("/b") == ()
    else:
        assert found("/") == ()


def test_prefixes_are_compared_without_their_trailing_slash(tmp_path: Path) -> None:
    both = {"a": upstream(prefix="/x"), "b": upstream(prefix="/x/"), "c": upstream(prefix="/X")}
    assert problems(tmp_path, {"upstreams": both}) == (
        "upstreams.b.prefix: upstreams a and b have the same listen 127.0.0.1:8080 and prefix /x",
    )


def test_each_upstream_in_the_place_of_another_is_one_problem(tmp_path: Path) -> None:
    same = {"a": upstream(), "b": upstream(), "c": upstream(), "d": upstream(prefix="/d")}
    assert problems(tmp_path, {"upstreams": same}) == tuple(
        f"upstreams.{name}.prefix: upstreams a and {name} have the same listen 127.0.0.1:8080 and prefix /"
        for name in ("b", "c")
    )


def test_one_address_in_many_spellings(tmp_path: Path) -> None:
    hosts = ("127.0.0.1", "localhost", "127.0.0.2", "0.0.0.0", "[::1]", "[::]")
    listens = {f"u{number}": upstream(listen=f"{host}:80") for number, host in enumerate(hosts)}
    found = problems(tmp_path, {"upstreams": listens, "allow_remote_clients": True})
    assert [tuple(re.findall(r"upstreams\.(u[0-9])\.listen", problem)) for problem in found] == [
        ("u1", "u0"),
        *(("u3", other) for other in ("u0", "u1", "u2")),
        ("u4", "u1"),
        *(("u5", other) for other in ("u1", "u4")),
    ]


def unexpected(path: str, problem: str) -> None:
    raise AssertionError(path, problem)


@pytest.mark.parametrize(
    "listen",
    ["127.0.0.1:80", "127.0.0.1:{}", "127.0.1.{}:80", "unix:/run/all", "unix:/run/{}"],
    ids=["one address", "ports", "hosts", "one socket", "sockets"],
)
def test_thousands_of_upstreams_are_not_compared_with_each_other(tmp_path: Path, listen: str) -> None:
    def config(count: int) -> Config:
        places = [{"listen": listen.format(number + 1), "prefix": f"/{number}"} for number in range(count)]
        upstreams = {f"u{number}": upstream(**place) for number, place in enumerate(places)}
        return load_data(tmp_path, {"upstreams": upstreams}).config

    few, many = (partial(checks.check, config(count), unexpected, str) for count in (FEW, MANY))
    assert grows_linearly(few, many)


@pytest.mark.parametrize(
    ("listen", "admin", "clash"),
    [
        ("127.0.0.1:9090", None, True),
        ("127.0.0.1:9090", "0.0.0.0:9090", True),
        ("localhost:9090", None, True),
        ("unix:/run/a", "unix:/run/a", True),
        ("127.0.0.1:9090", "127.0.0.1:9091", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_the_admin_listener_has_a_port_of_its_own(tmp_path: Path, listen: str, admin: str | None, clash: bool) -> None:
    data: dict[str, Any] = {"upstreams": {"a": upstream(listen=listen), "b": upstream(listen=listen, prefix="/b")}}
    if admin:
        data["admin"] = {"listen": admin}
    taken = f"admin.listen: {admin or '127.0.0.1:9090'} is taken: upstreams.a.listen is {listen}"
    assert problems(tmp_path, data) == ((taken,) if clash else ())


@pytest.mark.parametrize("header", ["Host", "content-length", "Transfer-Encoding", "Connection", "TE", "Upgrade"])
def test_headers_of_the_connection(tmp_path: Path, header: str) -> None:
    assert upstream_problems(tmp_path, headers__set={header: "x"}) == [
        f"headers.set.{header}: this header belongs to the connection and cannot be set"
    ]
    assert upstream_problems(tmp_path, auth__header=header) == [
        "auth.header: this header belongs to the connection and cannot carry a token"
    ]
    data = {"upstreams": {"a": upstream()}, "require_header": {"name": header, "value": "x"}}
    assert [problem.partition(":")[0] for problem in problems(tmp_path, data)] == ["require_header.name"]


def test_headers_that_can_be_set_and_removed(tmp_path: Path) -> None:
    assert upstream_problems(tmp_path, headers={"set": {"X-A": "b", "Cookie": ""}, "remove": ["X-A", "TE"]}) == []
    assert upstream_problems(tmp_path, auth__header="Proxy-Authorization") == []
    assert upstream_problems(tmp_path, headers__remove=["Cookie", "HOST"]) == [
        "headers.remove[1]: this header belongs to the connection and cannot be removed"
    ]
    # An entry that is wrong by itself does not shift the index of the next one.
    assert upstream_problems(tmp_path, headers__remove=[1, "HOST"])[1:] == [
        "headers.remove[1]: this header belongs to the connection and cannot be removed"
    ]


def test_headers_that_collide(tmp_path: Path) -> None:
    assert upstream_problems(tmp_path, headers__set={"AUTHORIZATION": "x"}) == [
        "headers.set.AUTHORIZATION: this header carries the token (auth.header) and cannot be set"
    ]
    assert upstream_problems(tmp_path, headers__set={"Authorization": "x"}, auth__header="X-Token") == []
    assert upstream_problems(tmp_path, headers__set={"X-A": "x", "x-a": "y"}) == [
        "headers.set.x-a: this header is set twice (names of headers know no case)"
    ]


@pytest.mark.parametrize("field", ["grant_type", "scope", "client_id", "client_secret"])
def test_form_fields_that_have_keys_of_their_own(tmp_path: Path, field: str) -> None:
    assert upstream_problems(tmp_path, auth__extra_params={field: "x", "audience": "y"}) == [
        f"auth.extra_params.{field}: this form field is set by the keys of auth, not here"
    ]


def test_a_jitter_that_reaches_back_to_the_start(tmp_path: Path) -> None:
    [problem] = upstream_problems(tmp_path, auth__refresh_at=0.05)
    assert problem.startswith("auth.refresh_jitter: expected less than refresh_at")
    assert upstream_problems(tmp_path, auth__refresh_at=0.05, auth__refresh_jitter=0) == []


def test_a_broken_part_causes_no_second_problem(tmp_path: Path) -> None:
    broken = {"listen": 5, "url": 5, "auth": 5, "headers": 5, "tls": 5, "allow_insecure": 5, "allow": 5}
    found = problems(tmp_path, {"upstreams": {"a": broken, "b": broken, "c": 5}, "admin": 5, "require_header": 5})
    assert len(found) == 2 * len(broken) + 3
    assert len(upstream_problems(tmp_path, auth__header=5, auth__refresh_at=5, auth__extra_params=5, auth__tls=5)) == 4
    assert problems(tmp_path, {"upstreams": 5, "log": 5}) == (
        "upstreams: expected a mapping, got a number",
        "log: expected a mapping, got a number",
    )


def make_certificate(folder: Path, name: str, password: bytes | None = None) -> None:
    """NAME.crt and NAME.key, in PEM form, self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    cipher: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        cipher = serialization.BestAvailableEncryption(password)
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)
    )


def test_certificate_files_that_can_be_used(tmp_path: Path) -> None:
    make_certificate(tmp_path, "a")
    both = (tmp_path / "a.crt").read_bytes() + (tmp_path / "a.key").read_bytes()
    (tmp_path / "both.pem").write_bytes(both)
    tls = {"ca_file": "a.crt", "cert_file": "a.crt", "key_file": "a.key", "server_name": "API.example"}
    loaded = load_data(
        tmp_path, {"upstreams": {"orders": upstream(tls=tls, auth__tls={"cert_file": str(tmp_path / "both.pem")})}}
    )
    orders = loaded.config.upstreams["orders"]
    assert orders.tls.server_name == "api.example"
    expected = [str(tmp_path / name) for name in ("a.crt", "a.crt", "a.key", "both.pem")]
    assert certificate_files(orders) == tuple(expected)
    assert set(expected) < set(loaded.files)


def test_a_renewed_certificate_is_another_configuration(tmp_path: Path) -> None:
    make_certificate(tmp_path, "a")
    data = {"upstreams": {"orders": upstream(tls__ca_file="a.crt")}}
    before = load_data(tmp_path, data)
    make_certificate(tmp_path, "a")
    after = load_data(tmp_path, data)
    assert (before.config, before.files) == (after.config, after.files)
    assert before.hash != after.hash


def test_a_bundle_that_is_too_large_to_watch_still_serves(tmp_path: Path) -> None:
    make_certificate(tmp_path, "a")
    with open(tmp_path / "a.crt", "ab") as file:
        file.write(b"# a comment, as bundles have them\n" * 40_000)
    assert upstream_problems(tmp_path, tls__ca_file="a.crt") == []


@pytest.mark.parametrize(
    ("tls", "where", "why"),
    [
        ({"ca_file": "nowhere"}, "ca_file", "no such file or directory"),
        ({"ca_file": "."}, "ca_file", "is a directory"),
        ({"ca_file": "text"}, "ca_file", "holds no PEM certificate"),
        ({"cert_file": "a.crt"}, "cert_file", "with a key in the same file"),
        ({"key_file": "a.key"}, "key_file", "needs cert_file"),
        ({"cert_file": "nowhere", "key_file": "a.key"}, "cert_file", "no such file or directory"),
        ({"cert_file": "a.crt", "key_file": "nowhere"}, "key_file", "no such file or directory"),
        ({"cert_file": "a.crt", "key_file": "b.key"}, "cert_file", "b.key"),
        ({"cert_file": "a.crt", "key_file": "locked.key"}, "cert_file", "an encrypted key cannot"),
        ({"cert_file": "text", "key_file": "a.key"}, "cert_file", "is not a PEM certificate that can be used"),
    ],
)
def test_certificate_files_that_cannot_be_used(tmp_path: Path, tls: dict[str, str], where: str, why: str) -> None:
    make_certificate(tmp_path, "a")
    make_certificate(tmp_path, "b")
    make_certificate(tmp_path, "locked", b"passphrase")
    (tmp_path / "text").write_text("no certificate")
    for place in ("tls", "auth__tls"):
        [problem] = upstream_problems(tmp_path, **{place: tls})
        assert problem.startswith(f"{place.replace('__', '.')}.{where}: ")
        assert why in problem


def test_one_bad_certificate_does_not_hide_the_other(tmp_path: Path) -> None:
    tls = {"ca_file": "nowhere", "cert_file": "nowhere-either", "key_file": "nor-here"}
    assert [problem.partition(":")[0] for problem in upstream_problems(tmp_path, tls=tls)] == [
        "tls.ca_file",
        "tls.cert_file",
        "tls.key_file",
    ]


def _sockets(*listens: dict[str, Any] | str) -> dict[str, Any]:
    upstreams = {f"u{number}": upstream(listen=listen, prefix=f"/{number}") for number, listen in enumerate(listens)}
    return {"upstreams": upstreams}


@pytest.mark.parametrize(("key", "one", "other"), [("mode", "0660", "0600"), ("owner", 0, 1), ("group", 0, 1)])
def test_who_may_connect_to_a_shared_socket_is_said_once(tmp_path: Path, key: str, one: object, other: object) -> None:
    path = {"unix": "/run/a"}
    assert problems(tmp_path, _sockets({**path, key: one}, {**path, key: other})) == (
        f"upstreams.u1.listen.{key}: upstreams.u0.listen.{key} says otherwise, and it is the same socket",
    )
    assert problems(tmp_path, _sockets({**path, key: one}, {**path, key: one}, {"unix": "/run/b", key: other})) == ()


def test_three_who_disagree_on_a_shared_socket(tmp_path: Path) -> None:
    one, *others = ({"unix": "/run/a", "mode": mode} for mode in ("0600", "0660", "0666"))
    assert problems(tmp_path, _sockets("unix:/run/a", one, *others)) == tuple(
        f"upstreams.{name}.listen.mode: upstreams.u1.listen.mode says otherwise, and it is the same socket"
        for name in ("u2", "u3")
    )


def test_what_one_says_of_a_shared_socket_holds_for_all(tmp_path: Path) -> None:
    one, two = {"unix": "/run/a", "mode": "0620"}, {"unix": "/run/a", "group": 7}
    listens: list[Any] = [one, "unix:/run/a", two, "unix:/run/b"]
    loaded = load_data(tmp_path, _sockets(*listens))
    accesses = [one.listen.access for one in loaded.config.upstreams.values()]
    assert accesses == [Access(0o620, None, 7)] * 3 + [Access()]


def test_one_problem_with_a_mode_is_one_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, _sockets({"unix": "/run/a", "mode": "x"}, {"unix": "/run/a", "mode": "0600"})) == (
        'upstreams.u0.listen.mode: expected permissions as an octal number in quotes, such as "0660"',
    )


PEERS = {"uids": [1000], "gids": ["1000"]}


@pytest.mark.parametrize("key", ["uids", "gids"])
def test_peers_are_known_on_unix_sockets_only(tmp_path: Path, key: str) -> None:
    known = (
        "allow_peers: peers are known on unix sockets only, and upstreams.orders.listen is 127.0.0.1:8080: "
        "listen on a unix socket, or "
    )
    own: dict[str, Any] = {key: [1000]}
    assert upstream_problems(tmp_path, allow_peers=own) == [f"{known}leave this out"]
    assert upstream_problems(tmp_path, allow_peers=own, listen="unix:/run/a") == []
    data = {"upstreams": {"orders": upstream()}, "allow_peers": own}
    assert problems(tmp_path, data) == (f"upstreams.orders.{known}set this to {{}}, for everybody",)
    nobody_in_particular: list[dict[str, Any]] = [{}, {"uids": []}, {"uids": [], "gids": []}]
    for everybody in nobody_in_particular:
        assert problems(tmp_path, {**data, "upstreams": {"orders": upstream(allow_peers=everybody)}}) == ()
        assert problems(tmp_path, {**data, "allow_peers": everybody}) == ()


def test_the_admin_listener_knows_no_peers(tmp_path: Path) -> None:
    data = {"upstreams": {"orders": upstream(listen="unix:/run/a")}, "allow_peers": PEERS}
    assert problems(tmp_path, data) == ()


def test_a_system_that_does_not_tell_peers_is_never_silently_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "SO_PEERCRED")
    assert upstream_problems(tmp_path, listen="unix:/run/a") == []
    assert upstream_problems(tmp_path, listen="unix:/run/a", allow_peers=PEERS) == [
        "allow_peers: this system does not tell who is at the other end of a unix socket: nobody could be let in"
    ]


def test_one_problem_with_peers_is_one_problem(tmp_path: Path) -> None:
    expected = "expected the name or the number of a user, and this machine has no user of that name"
    assert upstream_problems(tmp_path, listen="unix:/run/a", allow_peers={"uids": [5, "no-such-user"]}) == [
        f"allow_peers.uids[1]: {expected}"
    ]
    assert upstream_problems(tmp_path, listen="nowhere", allow_peers=PEERS) == [
        "listen: expected host:port such as 127.0.0.1:8080, or unix:/path"
    ]
    assert upstream_problems(tmp_path, allow_peers="app") == ["allow_peers: expected a mapping, got a string"]


def test_an_upstream_s_own_peers_take_the_place_of_those_at_the_top(tmp_path: Path) -> None:
    listen = "unix:/run/a"
    upstreams = {
        "top": upstream(listen=listen, prefix="/1"),
        "null": upstream(listen=listen, prefix="/2", allow_peers=None),
        "own": upstream(listen=listen, prefix="/3", allow_peers={"gids": [7]}),
        "all": upstream(listen=listen, prefix="/4", allow_peers={}),
    }
    config = load_data(tmp_path, {"upstreams": upstreams, "allow_peers": {"uids": ["0", 5]}}).config
    assert {name: one.allow_peers for name, one in config.upstreams.items()} == {
        "top": Peers((UserId(0), UserId(5))),
        "null": Peers((UserId(0), UserId(5))),
        "own": Peers((), (GroupId(7),)),
        "all": None,
    }


def test_a_token_cache_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"upstreams": {"orders": upstream()}, "token_cache": {"url": "redis://127.0.0.1:6379"}}
    assert problems(tmp_path, data) == ()
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    assert problems(tmp_path, data) == ("token_cache: needs the extra `redis`: pip install 'cognito-sidecar[redis]'",)


def test_certificates_of_a_token_cache(tmp_path: Path) -> None:
    cache = {"url": "redis://cache", "ca_file": "/nowhere/ca.pem", "key_file": "/nowhere/key.pem"}
    assert problems(tmp_path, {"upstreams": {"orders": upstream()}, "token_cache": cache}) == (
        "token_cache.url: certificate files need TLS: rediss:// instead of redis://",
        "token_cache.key_file: needs cert_file, the key's certificate",
        "token_cache.ca_file: /nowhere/ca.pem: no such file or directory",
    )
