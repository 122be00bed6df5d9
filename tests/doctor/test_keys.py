"""A token's signature against the keys that its issuer publishes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from proxy.config.model import Tls
from proxy.doctor.finding import Finding, Mark
from proxy.doctor.keys import judge, look_at_signature
from proxy.emulator import Emulator
from tests.tokens.servers import http, serving

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _published(key: rsa.RSAPrivateKey, kid: str = "k") -> dict[str, Any]:
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": "RS256"}


def _token(kid: str | None = "k", issuer: str = "https://idp.example") -> str:
    headers = {"kid": kid} if kid else {}
    return jwt.encode({"iss": issuer, "exp": 1, "aud": "x"}, KEY, algorithm="RS256", headers=headers)


@pytest.mark.parametrize(
    ("token", "keys", "mark", "detail"),
    [
        pytest.param(_token(), [_published(KEY)], Mark.OK, "by a key of I", id="the key"),
        pytest.param(_token(), [_published(OTHER, "o"), _published(KEY)], Mark.OK, "by a key of I", id="one of two"),
        pytest.param(_token(None), [_published(OTHER), _published(KEY)], Mark.OK, "by a key of I", id="without a kid"),
        pytest.param(
            _token(), [_published(OTHER)], Mark.FAIL, "I: the signature fits none of its keys", id="another's"
        ),
        pytest.param(
            _token(),
            [_published(KEY, "o")],
            Mark.FAIL,
            "I: the signature is by a key that it does not publish",
            id="kid",
        ),
        pytest.param(_token(), [{"kid": "k"}], Mark.FAIL, "I: the signature fits none of its keys", id="no key at all"),
    ],
)
def test_the_verdict(token: str, keys: list[dict[str, Any]], mark: Mark, detail: str) -> None:
    finding = judge(token, keys, "I")
    assert (finding.mark, finding.detail) == (mark, detail)


async def _look(token: str, issuer: object) -> Finding:
    return await look_at_signature(token, issuer, Tls(), None, None, 5)


async def test_a_token_that_the_issuer_never_made() -> None:
    async with Emulator() as emulator:
        finding = await _look(_token(issuer=emulator.issuer), emulator.issuer)
    assert (finding.mark, finding.name) == (Mark.FAIL, "bad_signature")


@pytest.mark.parametrize(
    ("where", "mark"),
    [
        pytest.param("/keys", Mark.OK, id="on the same host"),
        pytest.param("https://elsewhere.example/keys", Mark.WARN, id="elsewhere: nobody asks there"),
        pytest.param("nonsense", Mark.WARN, id="nowhere"),
    ],
)
async def test_keys_that_only_discovery_names(where: str, mark: Mark) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = server.requests[-1].split(b" ")[1]
        base = f"http://127.0.0.1:{server.port}" if where.startswith("/") else ""
        pages = {
            b"/.well-known/openid-configuration": {"jwks_uri": base + where},
            b"/keys": {"keys": [_published(KEY), "no key"]},
        }
        page = pages.get(path)
        writer.write(http(404) if page is None else http(200, json.dumps(page).encode()))

    async with serving(answer) as server:
        finding = await _look(_token(), f"http://127.0.0.1:{server.port}")
    assert finding.mark is mark


@pytest.mark.parametrize("answer", [b"", http(500), http(200, b"<html>"), http(200, b"[]"), http(200, b'{"keys": 1}')])
async def test_an_issuer_that_publishes_nothing(answer: bytes) -> None:
    async with serving(answer) as server:
        issuer = f"http://127.0.0.1:{server.port}"
        finding = await _look(_token(), issuer)
    assert finding.detail == f"not checked: no keys at {issuer}/.well-known/jwks.json"


@pytest.mark.parametrize(
    ("issuer", "detail"),
    [
        (None, "not checked: the token's iss is not a URL"),
        ("my-issuer", "not checked: the token's iss is not a URL"),
        ("http://idp.example", "not checked: the token's iss is not https"),
    ],
)
async def test_nobody_is_asked_who_cannot_be_trusted(issuer: object, detail: str) -> None:
    finding = await _look(_token(), issuer)
    assert (finding.mark, finding.name, finding.detail) == (Mark.WARN, "keys_unavailable", detail)
