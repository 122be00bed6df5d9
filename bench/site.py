"""What a contender is told of the world around it, and what all of it agree on."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final, NamedTuple

CLIENT_ID: Final = "bench"
CLIENT_SECRET: Final = "bench-secret"
TOKEN: Final = "".join("eyJraWQiOiJiZW5jaCIs"[i % 20] for i in range(1000))
"""As long as Cognito's access tokens are."""
SMALL: Final = b'{"message": "Hello World!"}\n'
"""28 bytes of JSON."""
LARGE_BYTES: Final = 10 * 1024
POST_BYTES: Final = 4 * 1024
LISTEN: Final = "127.0.0.1"


class Site(NamedTuple):
    """One upstream and the token endpoint that its token comes from, both on loopback."""

    api_port: int
    token_port: int
    ca_file: Path

    @property
    def url(self) -> str:
        """The upstream's origin. Its certificate is for this name, and is to be verified."""
        return f"https://localhost:{self.api_port}"

    @property
    def token_url(self) -> str:
        return f"http://{LISTEN}:{self.token_port}/oauth2/token"


def basic() -> str:
    """The value of Authorization that the token endpoint wants."""
    return "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
