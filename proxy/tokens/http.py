"""The way to the token endpoint: one call of it, whose every failure is a TokenError in words of our own."""

from __future__ import annotations

import os
import ssl

import aiohttp

from proxy.config.model import Auth, Proxy, Tls
from proxy.egress import EgressError
from proxy.errors import TokenError
from proxy.outgoing import Outgoing
from proxy.secret import Secret
from proxy.tls import TlsFileError, tls_failed
from proxy.tokens.endpoint import BODY_STATUSES, Answer, Call


class HttpTransport:
    """POSTs to one token URL."""

    def __init__(self, auth: Auth, *, extra_ca_file: str | None = None, proxy: Proxy | None = None) -> None:
        self._timeout = float(auth.request_timeout)
        # An upstream behind a private CA often has its token endpoint behind the same one.
        extra = extra_ca_file if auth.tls == Tls() else None
        self._outgoing = Outgoing(auth.token_url, auth.tls, proxy=proxy, extra_ca_file=extra)

    async def post(self, call: Call) -> Answer:
        """See `proxy.tokens.endpoint.Transport`."""
        failure: TokenError
        try:
            reply = await self._outgoing.call(
                *("POST", call.headers.reveal(), call.form.reveal()),
                seconds=self._timeout,
                reads=BODY_STATUSES.__contains__,
            )
            body = None if reply.body is None else Secret(reply.body)
            return Answer(reply.status, body, reply.headers.get("Retry-After"), reply.headers.get("Date"))
        except Exception as error:  # noqa: BLE001  (every error is put in words, and none may be quoted)
            failure = describe(error, self._timeout)
        # Outside of the handler, so that the library's error is not kept as this one's context.
        raise failure


def describe(error: Exception, timeout: float) -> TokenError:
    """An error of the network or of aiohttp as one of ours, in words that quote nothing of the request."""
    match error:
        case EgressError():
            return TokenError("connection", str(error))
        case TimeoutError():
            return TokenError("timeout", f"the token endpoint did not answer within {timeout:g} s")
        case TlsFileError():
            # The client's own certificate is a credential; what it trusts is not.
            return TokenError("tls" if error.key == "ca_file" else "credentials", str(error))
        case aiohttp.ClientConnectorCertificateError():
            return TokenError("tls", _certificate_problem(error.certificate_error))
        case ssl.SSLCertVerificationError():
            return TokenError("tls", _certificate_problem(error))
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return TokenError("tls", "the TLS handshake with the token endpoint failed")
        case aiohttp.ClientOSError(__cause__=ssl.SSLError() as cause):
            # In TLS 1.3 a server says only after the handshake that it does not accept a client's certificate.
            return TokenError("tls", f"the token endpoint: {tls_failed(cause)}")
        case aiohttp.ClientOSError(__cause__=aiohttp.ClientConnectionResetError()):
            return TokenError("connection", "the token endpoint closed the connection before it had the request")
        case aiohttp.ClientConnectorDNSError():
            return TokenError("connection", "the token endpoint's name cannot be resolved")
        case aiohttp.ServerDisconnectedError():
            return TokenError("connection", "the token endpoint closed the connection without an answer")
        case aiohttp.ClientPayloadError():
            return TokenError("connection", "the token endpoint's answer broke off")
        case aiohttp.ClientResponseError():
            return TokenError("malformed_response", "the token endpoint's answer is not acceptable HTTP")
        case OSError():
            why = f" ({os.strerror(error.errno).lower()})" if error.errno and error.errno > 0 else ""
            return TokenError("connection", f"there is no connection to the token endpoint{why}")
        case _:
            return TokenError("connection", f"the call of the token endpoint failed ({type(error).__name__})")


def _certificate_problem(error: Exception) -> str:
    # OpenSSL's words for what is wrong with a certificate: from a fixed list, with the name we asked for at most.
    message = getattr(error, "verify_message", "")
    return "the token endpoint's certificate cannot be trusted" + (f": {message}" if message else "")
