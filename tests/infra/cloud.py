"""An AWS account that is not there: moto's server, with the resource types that its CloudFormation lacks.

`python -m tests.infra.cloud` serves it on a free port of loopback until SIGTERM. moto parses a template, resolves its
functions, keeps its order and gives its outputs; but of Cognito, Secrets Manager and HTTP APIs it has the services
alone.
"""

from __future__ import annotations

import signal
from typing import Any, Final

import boto3

REGION: Final = "eu-central-1"
ACCOUNT: Final = "123456789012"
"""moto's own."""


def client(service: str, endpoint: str) -> Any:
    """One of boto3's clients, which speaks to the account at `endpoint` and to no other."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
    return session.client(service, endpoint_url=endpoint)


def main() -> None:
    """Serve until SIGTERM."""
    from moto.server import ThreadedMotoServer

    from tests.infra.resource_types import KINDS, resource_type

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    types = [resource_type(name, kind, lambda service: client(service, endpoint)) for name, kind in KINDS.items()]
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    print(f"{len(types)} more resource types, at {endpoint}", flush=True)  # noqa: T201  what it is waited for by
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop()


if __name__ == "__main__":
    main()
