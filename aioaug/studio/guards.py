"""What stands before the studio's routes: who may ask, how much, and what a browser may load."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..web.problems import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Everything of the page is in files of its own, so nothing written into the page is ever run.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class SameSite:
    """Answers only requests for this server, that no page of another site makes.

    A name that an attacker's DNS server gives this machine's address is refused by the `Host`
    header, and what another page sends, by `Origin`.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        names = {host.strip("[]").lower() for host in hosts}
        self._addresses = any(_is_wildcard(name) for name in names)
        self._names = {*_LOOPBACK, *names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
        refusal = self._refusal(headers)
        if refusal:
            await problem(403, refusal)(scope, receive, _guarded(send))
            return
        await self._app(scope, receive, _guarded(send))

    def _refusal(self, headers: dict[bytes, str]) -> str:
        host = headers.get(b"host", "")
        if not self._is_ours(host):
            return f"this server does not answer for the host {host[:64]!r}; see --allow-host"
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "pages of other sites must not use this server"
        if headers.get(b"sec-fetch-site", "none") not in ("none", "same-origin"):
            return "pages of other sites must not use this server"
        return ""

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        # An address is no name, so nobody can have it lead elsewhere.
        return self._addresses and _is_address(name)


def _guarded(send: Send) -> Send:
    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
        await send(message)

    return send_guarded


def _is_wildcard(name: str) -> bool:
    return name in ("0.0.0.0", "::")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can connect to an address."""
    name: Any = host.strip("[]").lower()
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)
