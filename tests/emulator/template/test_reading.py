"""From templates to settings: pool, clients, secrets, and everything that is wrong in one go."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.emulator.template import describe
from proxy.errors import ConfigError
from tests.emulator.template.stacks import POOL, data, problems, settings
from tests.emulator.template.test_apis import ALB, HTTP, REST

OTHER = """
  Reporter:
    Type: AWS::Cognito::UserPoolClient
    Properties:
      UserPoolId: !Ref Pool
      GenerateSecret: true
      AllowedOAuthFlowsUserPoolClient: true
      AllowedOAuthFlows: [client_credentials]
      AllowedOAuthScopes: [orders/read]
      AccessTokenValidity: 1
      TokenValidityUnits: {AccessToken: days}
  Website:
    Type: AWS::Cognito::UserPoolClient
    Properties:
      UserPoolId: !Ref Pool
      AllowedOAuthFlowsUserPoolClient: true
      AllowedOAuthFlows: [code]
      AllowedOAuthScopes: [openid, orders/read]
"""


def test_one_client() -> None:
    made = settings(POOL)
    assert made.scopes == ("orders/read", "orders/write")
    assert [*made.client_secrets] == [f"secret of {made.client_id}"]
    assert (made.token_lifetime, made.more_clients, made.apis) == (3600, (), {})
    assert made.stack.domain == "mine.auth.eu-central-1.amazoncognito.com"
    assert made.pool_id.startswith("eu-central-1_")


def test_several_clients_with_the_first_that_may_ask_in_front() -> None:
    made = settings(
        POOL.replace("AllowedOAuthFlowsUserPoolClient: true", "AllowedOAuthFlowsUserPoolClient: false") + OTHER
    )
    assert (made.scopes, made.token_lifetime) == (("orders/read",), 86400)
    off, website = made.more_clients
    assert (off.may_ask, website.may_ask) == (False, False)
    assert (len(off.secrets), len(website.secrets)) == (1, 0)


@pytest.mark.parametrize(
    ("validity", "seconds"),
    [
        ("AccessTokenValidity: 2", 7200),
        ("AccessTokenValidity: '30', TokenValidityUnits: {AccessToken: minutes}", 1800),
        ("AccessTokenValidity: 300, TokenValidityUnits: {AccessToken: seconds}", 300),
        ("AccessTokenValidity: 0", 3600),
        ("TokenValidityUnits: {IdToken: days}", 3600),
    ],
)
def test_the_life_of_tokens(validity: str, seconds: int) -> None:
    resources = POOL.rstrip() + "".join(f"\n      {one}" for one in validity.split(", "))
    assert settings(resources).token_lifetime == seconds


def test_a_domain_of_ones_own_and_another_region() -> None:
    made = settings(POOL.replace("Domain: mine", "Domain: auth.example.com"), **{"AWS::Region": "us-east-1"})
    assert made.stack.domain == "auth.example.com"
    assert made.pool_id.startswith("us-east-1_")
    assert ("https://auth.example.com", "domain") in made.stack.addresses
    assert (made.stack.name, settings(POOL, **{"AWS::StackName": "mine"}).stack.name) == ("stack0", "mine")


def test_the_secret_that_secrets_manager_holds() -> None:
    kept = """
  Kept:
    Type: AWS::SecretsManager::Secret
    Properties:
      SecretString: !Sub ['{"id": "${Client}", "secret": "${Secret}"}', {Secret: !GetAtt Client.ClientSecret}]
  Generated: {Type: AWS::SecretsManager::Secret, Properties: {GenerateSecretString: {}}}
"""
    made = settings(POOL + kept)
    [(arn, text)] = made.stack.secrets
    assert ":secret:stack0-Kept-" in arn
    assert json.loads(text) == {"id": made.client_id, "secret": f"secret of {made.client_id}"}
    assert "secret of" not in repr(made)


def test_a_second_stack_takes_the_first_ones_outputs() -> None:
    outputs = "Outputs: {PoolId: {Value: !Ref Pool}, Issuer: {Value: !GetAtt Pool.ProviderURL}}"
    pool, rest = POOL.split("  Domain:")
    second = (
        "  Domain:" + rest.replace("!Ref Pool", "!Ref PoolId") + HTTP.replace("!GetAtt Pool.ProviderURL", "!Ref Issuer")
    )
    parameters = "Parameters: {PoolId: {Type: String}, Issuer: {Type: String}}"
    made = describe(
        [("pool.yaml", "pool", data(pool, outputs)), ("api.yaml", "api", data(second, parameters))], {}, lambda _: "s"
    )
    assert made.scopes == ("orders/read", "orders/write")
    assert (made.apis or {}).keys() == {"http"}
    assert [name for name, _, _ in made.stack.outputs] == ["PoolId", "Issuer"]
    assert made.stack.name == "pool"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("GenerateSecret: true", "GenerateSecret: false"),
         "Resources.Client.Properties.GenerateSecret: Cognito allows client_credentials to clients with a secret only"),
        (("[client_credentials]", "[client_credentials, code]"),
         "Resources.Client.Properties.AllowedOAuthFlows: Cognito allows no other flow beside client_credentials"),
        (("AllowedOAuthScopes: [orders/read, orders/write]", "AllowedOAuthScopes: []"),
         "Resources.Client.Properties.AllowedOAuthScopes: Cognito asks for at least one, to use client_credentials"),
        (("AllowedOAuthScopes: [orders/read, orders/write]", "AllowedOAuthScopes: [orders/read, orders/delete]"),
         "Resources.Client.Properties.AllowedOAuthScopes: no AWS::Cognito::UserPoolResourceServer has orders/delete"),
        (("Scopes: [{ScopeName: read}, {ScopeName: write}]", "Scopes: [read]"),
         "Resources.Server.Properties.Scopes: expected a list of mappings"),
        (("AllowedOAuthFlowsUserPoolClient: true", "AllowedOAuthFlowsUserPoolClient: false"),
         "no AWS::Cognito::UserPoolClient may use client_credentials"),
        (("{UserPoolId: !Ref Pool, Domain: mine}", "{UserPoolId: another, Domain: mine}"),
         "Resources.Domain.Properties.UserPoolId: this is not the user pool that the emulator has"),
        (("  Domain: {", "  # Domain: {"),
         "there is no AWS::Cognito::UserPoolDomain, and without one there is no token endpoint"),
        (("  Domain: {", "  Second: {Type: AWS::Cognito::UserPool}\n  Domain: {"),
         "Resources.Second: a second user pool; the emulator has one"),
        (("      GenerateSecret: true", "      GenerateSecret: true\n      AccessTokenValidity: 25"),
         "Resources.Client.Properties.AccessTokenValidity: Cognito's tokens live from 5 minutes to a day, and this"),
        (("      GenerateSecret: true", "      GenerateSecret: true\n      AccessTokenValidity: long"),
         "Resources.Client.Properties.AccessTokenValidity: expected a whole number"),
        (("      GenerateSecret: true", "      GenerateSecret: true\n      TokenValidityUnits: {AccessToken: weeks}"),
         "Resources.Client.Properties.TokenValidityUnits: AccessToken: weeks is none of seconds, minutes, hours, days"),
    ],
)  # fmt: skip
def test_what_cognito_would_refuse(change: tuple[str, str], problem: str) -> None:
    assert POOL.count(change[0]) == 1
    told = problems(POOL.replace(*change))
    assert told[0].startswith(f"0.yaml: {problem}")


def test_a_file_that_is_no_template_is_told_with_the_others() -> None:
    with pytest.raises(ConfigError) as caught:
        describe([("one.yaml", "one", []), ("two.yaml", "two", {"Resources": 1})], {"No": "1"}, str)
    wrong = "Resources: expected a CloudFormation template, which has a mapping of this name"
    assert caught.value.problems == (f"one.yaml: {wrong}", f"two.yaml: {wrong}", "--parameter No: no template has it")


def test_without_a_pool_there_is_nothing() -> None:
    assert problems("  Thing: {Type: AWS::Other::Thing}") == [
        "0.yaml: there is no AWS::Cognito::UserPool",
        "0.yaml: there is no AWS::Cognito::UserPoolDomain, and without one there is no token endpoint",
        "0.yaml: no AWS::Cognito::UserPoolClient may use client_credentials",
    ]
    assert problems(REST.replace("[!GetAtt Pool.Arn]", "[a]")) == [
        "0.yaml: Resources.Api: there is no AWS::Cognito::UserPool in this template or in one before it"
    ]


def test_a_second_gateway_of_a_kind() -> None:
    second = HTTP.replace("Api:", "Api2:").replace("!Ref Api", "!Ref Api2").replace("Guard", "Guard2")
    second = second.replace("Read:", "Read2:").replace("Rest:", "Rest2:").replace("Stage:", "Stage2:")
    [told] = problems(POOL + HTTP + second)
    assert told == "0.yaml: Resources.Api2: a second gateway of its kind, besides Resources.Api; the emulator has one"


def test_every_problem_comes_at_once_with_its_file() -> None:
    first = POOL.replace("GenerateSecret: true", "GenerateSecret: false").replace("Domain: mine", "Domain: !Ref Nobody")
    needs_secret = "Cognito allows client_credentials to clients with a secret only"
    rest = "Parameters: {Minutes: {Type: Number, Default: a}}"
    assert problems(first, POOL, rest=rest, Typo="1") == [
        "0.yaml: Parameters.Minutes: 'a' is not a number",
        "0.yaml: Resources.Domain.Properties.Domain: Nobody is no parameter and no resource of this template",
        f"0.yaml: Resources.Client.Properties.GenerateSecret: {needs_secret}",
        "1.yaml: Parameters.Minutes: 'a' is not a number",
        "1.yaml: Resources.Pool: a second user pool; the emulator has one",
        *(
            f"1.yaml: Resources.{name}.Properties.UserPoolId: this is not the user pool that the emulator has"
            for name in ("Domain", "Server", "Client")
        ),
        "--parameter Typo: no template has it",
    ]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in plain data: what it is in, and its key."""
    items = [*value.items()] if isinstance(value, dict) else [*enumerate(value)] if isinstance(value, list) else []
    for key, inner in items:
        yield value, key
        yield from places(inner)


@pytest.mark.parametrize("odd", [None, 5, "x", [[]], {"a": 1}, {"Ref": "Pool"}], ids=str)
@pytest.mark.parametrize("text", [REST, HTTP, ALB], ids=["REST", "HTTP", "ALB"])
def test_whatever_stands_anywhere_it_is_served_or_told(text: str, odd: object) -> None:
    plain = data(POOL + text, 'Parameters: {A: {Type: Number, Default: "1", MinValue: 0, AllowedPattern: .}}')
    told = 0
    for number in range(len([*places(plain)])):
        changed = copy.deepcopy(plain)
        holder, key = [*places(changed)][number]
        holder[key] = odd
        try:
            made = describe([("a.yaml", "a", changed)], {}, lambda _: "secret")
            assert [json.dumps(route) for routes in (made.apis or {}).values() for route in routes] or not made.apis
        except ConfigError as error:
            told += all(problem.startswith("a.yaml: ") for problem in error.problems)
    assert told > number / 3
