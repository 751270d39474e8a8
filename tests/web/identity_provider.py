"""A small OpenID Connect provider: a real HTTP server in a thread, with keys that really sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

CLIENT_ID = "license-server"
CLIENT_SECRET = "client-secret-0123456789"


class Provider:
    """What a test may change of the provider's answers, and what it has been asked."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.key: RSAKey | ECKey = RSAKey.generate_key(2048, {"kid": "first"})
        self.published: list[RSAKey | ECKey] = [self.key]
        self.claims: dict[str, Any] = {"sub": "subject-1", "email": "operator@acme.example", "email_verified": True}
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "first"}
        self.discovery: dict[str, Any] = {}
        self.forged: str | None = None
        self.paths: list[str] = []
        self.hangs = threading.Event()
        self.goes_on = threading.Event()
        self._codes: dict[str, dict[str, str]] = {}

    def authorize(self, location: str) -> dict[str, str]:
        """Somebody signs in at the address to which the browser was sent: what comes back in the query."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert location.startswith(f"{self.issuer}/authorize?")
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
        assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "openid email profile")
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def rotate_key(self, key: RSAKey | ECKey, alg: str) -> None:
        """Sign with another key from now on, and publish it beside the old ones."""
        self.key = key
        self.published.append(key)
        self.header = {"alg": alg, "kid": key.kid}

    def answer(self, path: str) -> dict[str, Any] | None:
        """The document at an address."""
        self.paths.append(path)
        if self.hangs.is_set():
            self.goes_on.wait(20)
        if path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            endpoints = {name: f"{self.issuer}/{place}" for name, place in names.items()}
            return {"issuer": self.issuer, **endpoints, **self.discovery}
        return dict(KeySet(list(self.published)).as_dict()) if path == "/keys" else None

    def redeem(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The tokens for a code, which is taken once, from our client alone, and with the verifier of its challenge."""
        self.paths.append("/token")
        if self.hangs.is_set():
            self.goes_on.wait(20)
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self._codes.pop(form["code"], None)
        if asked is None or authorization != f"Basic {expected}" or form["redirect_uri"] != asked["redirect_uri"]:
            return None
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return None
        return {"access_token": "x", "token_type": "Bearer", "id_token": self.forged or self._id_token(asked)}

    def _id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": CLIENT_ID, "nonce": asked["nonce"], "iat": now, "exp": now + 300}
        claims = {name: value for name, value in {**usual, **self.claims}.items() if value is not None}
        if self.header["alg"] in ("none", "HS256"):
            return self._unsigned(claims)
        return jwt.encode(self.header, claims, self.key, ["RS256", "ES256"])

    def _unsigned(self, claims: dict[str, Any]) -> str:
        """A token that everybody can make: not signed, or signed with the public key as if that were a secret."""
        parts = [json.dumps(self.header).encode(), json.dumps(claims).encode()]
        signed = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        is_none = self.header["alg"] == "none"
        public = self.key.as_pem(private=False)
        mac = b"" if is_none else hmac.digest(public, signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@contextmanager
def running_provider() -> Iterator[Provider]:
    """The provider, on a port of 127.0.0.1, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(provider.answer(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._send(provider.redeem(form, self.headers.get("Authorization", "")))

        def _send(self, document: dict[str, Any] | None) -> None:
            body = json.dumps({"error": "invalid_grant"} if document is None else document).encode()
            try:
                self.send_response(400 if document is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                """The client waits no longer."""

        def log_message(self, format: str, *arguments: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        provider.goes_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
