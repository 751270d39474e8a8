"""Signing in at an OpenID Connect identity provider: the way there, and what its answer proves."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped] # the library has no types
from authlib.oauth2.rfc6749.parameters import prepare_token_request  # type: ignore[import-untyped] # likewise
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from app.outbound import open_client
from app.settings import Settings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures of a key that only the provider has; never `none`, and never a shared secret (HS256)."""
PROOFS_OF_A_SECOND_FACTOR = frozenset({"mfa", "otp", "hwk"})
"""What `amr` says of a login that took more than a password (RFC 8176)."""

CALLBACK_PATH = "/api/auth/oidc/callback"
SCOPE = "openid email profile"
DISCOVERY_LIFETIME = timedelta(hours=1)
KEYS_LIFETIME = timedelta(hours=1)
KEYS_ASKED_AGAIN_AFTER = timedelta(minutes=1)
CLOCK_LEEWAY_SECONDS = 60
MAX_CODE_LENGTH = 4096
MAX_TOKEN_LENGTH = 65_536
MAX_CLAIM_LENGTH = 255
CALL_SECONDS = 4.5


class ProviderUnavailable(Exception):
    """The provider does not answer, or not as OpenID Connect says; the message is for the log."""


class ProofRefused(Exception):
    """What came back proves nobody's identity; the message, for the log, says why."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way; the browser that began it must be the one that comes back."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class ProvenIdentity:
    """Who somebody is at the provider; `email` only where the provider has verified it."""

    issuer: str
    subject: str
    email: str | None
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class _Provider:
    """What the provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    auth_method: str
    read_at: datetime


class IdentityProvider:
    """One provider; it keeps what the provider says of itself and its keys for an hour, and asks within a deadline."""

    def __init__(
        self, client: httpx.AsyncClient, *, issuer: str, client_id: str, client_secret: str, redirect_uri: str
    ) -> None:
        self._client = client
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._provider: _Provider | None = None
        self._keys: KeySet | None = None
        self._keys_read_at: datetime | None = None
        self._reading = asyncio.Lock()

    async def begin(self, attempt: Attempt, *, now: datetime) -> str:
        """The address at the provider to which a browser is sent; raises ProviderUnavailable."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                provider = await self._discover(now)
        except TimeoutError as error:
            raise ProviderUnavailable("no answer in time") from error
        url, _ = self._oauth(provider).create_authorization_url(
            provider.authorization_endpoint, state=attempt.state, nonce=attempt.nonce, code_verifier=attempt.verifier
        )
        return str(url)

    async def finish(self, attempt: Attempt, code: str, *, now: datetime) -> ProvenIdentity:
        """Who has signed in, by the code that came back; raises ProofRefused and ProviderUnavailable."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                provider = await self._discover(now)
                token = await self._redeem(provider, attempt, code)
                claims = await self._verified_claims(provider, token, now)
        except TimeoutError as error:
            raise ProviderUnavailable("no answer in time") from error
        _require_claims(claims, provider, self._client_id, attempt, now)
        return _identity(claims, provider)

    async def look(self, *, now: datetime) -> None:
        """Raises ProviderUnavailable when the provider does not say of itself and its keys what a sign-in needs."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._read_keys(await self._discover(now), now, KEYS_LIFETIME)
        except TimeoutError as error:
            raise ProviderUnavailable("no answer in time") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _discover(self, now: datetime) -> _Provider:
        """What the provider says of itself, at most an hour old."""
        known = self._provider
        if known is not None and now - known.read_at < DISCOVERY_LIFETIME:
            return known
        async with self._reading:
            if self._provider is not known and self._provider is not None:
                return self._provider
            document = await self._get(f"{self._issuer}/.well-known/openid-configuration")
            self._provider = _read_discovery(document, self._issuer, now)
            return self._provider

    async def _redeem(self, provider: _Provider, attempt: Attempt, code: str) -> str:
        """The ID token that the code stands for."""
        if not 0 < len(code) <= MAX_CODE_LENGTH:
            raise ProofRefused("the code has no usable length")
        body = prepare_token_request(
            "authorization_code", redirect_uri=self._redirect_uri, code=code, code_verifier=attempt.verifier
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        sign = self._oauth(provider).client_auth(provider.auth_method)
        url, headers, body = sign.prepare("POST", provider.token_endpoint, headers, body)
        response = await self._call("POST", str(url), headers=headers, content=body)
        if 400 <= response.status_code < 500:
            raise ProofRefused("the provider does not take the code")
        token = _read_object(response).get("id_token")
        if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH:
            raise ProofRefused("the provider gave no ID token")
        return token

    async def _verified_claims(self, provider: _Provider, token: str, now: datetime) -> Mapping[str, Any]:
        """What the token says, if a key of the provider has signed it; an unknown one is asked for once a minute."""
        keys = await self._read_keys(provider, now, KEYS_LIFETIME)
        try:
            return _claims(token, keys)
        except InvalidKeyIdError:
            keys = await self._read_keys(provider, now, KEYS_ASKED_AGAIN_AFTER)
        try:
            return _claims(token, keys)
        except InvalidKeyIdError as error:
            raise ProofRefused(str(error)) from error

    async def _read_keys(self, provider: _Provider, now: datetime, lifetime: timedelta) -> KeySet:
        """The provider's keys, read again when they are older than that."""
        async with self._reading:
            is_fresh = self._keys_read_at is not None and now - self._keys_read_at < lifetime
            if self._keys is None or not is_fresh:
                document = await self._get(provider.jwks_uri)
                try:
                    self._keys = KeySet.import_key_set({"keys": document["keys"]})
                except (JoseError, KeyError, TypeError, ValueError, AttributeError) as error:
                    raise ProviderUnavailable("the keys of the provider can't be read") from error
                self._keys_read_at = now
            return self._keys

    async def _get(self, url: str) -> Mapping[str, Any]:
        response = await self._call("GET", url)
        if response.status_code != httpx.codes.OK:
            raise ProviderUnavailable(f"the provider answers {response.status_code}")
        return _read_object(response)

    async def _call(self, method: str, url: str, **fields: Any) -> httpx.Response:
        try:
            return await self._client.request(method, url, **fields)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise ProviderUnavailable(f"{type(error).__name__}: {error}") from error

    def _oauth(self, provider: _Provider) -> OAuth2Client:
        return OAuth2Client(
            None,
            client_id=self._client_id,
            client_secret=self._client_secret,
            token_endpoint_auth_method=provider.auth_method,
            scope=SCOPE,
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
        )


def open_identity_provider(settings: Settings) -> IdentityProvider | None:
    """The identity provider that is set; the settings are all there or none is."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None or settings.oidc_client_secret is None:
        return None
    return IdentityProvider(
        open_client(allowed=settings.outbound_allowed_networks),
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        redirect_uri=f"{settings.public_url}{CALLBACK_PATH}",
    )


def _read_discovery(document: Mapping[str, Any], issuer: str, now: datetime) -> _Provider:
    """The endpoints, if the document is that of the issuer we asked (OpenID Connect Discovery, 4.3)."""
    told = document.get("issuer")
    if not isinstance(told, str) or told.rstrip("/") != issuer.rstrip("/"):
        raise ProviderUnavailable("the provider names another issuer than OIDC_ISSUER")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    endpoints = {name: document.get(name) for name in names}
    for name, endpoint in endpoints.items():
        if not isinstance(endpoint, str) or not _is_as_safe(endpoint, issuer):
            raise ProviderUnavailable(f"the provider names no usable {name}")
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    takes_only_post = isinstance(methods, list) and "client_secret_basic" not in methods
    auth_method = "client_secret_post" if takes_only_post else "client_secret_basic"
    authorization, token, keys = (str(endpoints[name]) for name in names)
    return _Provider(told, authorization, token, keys, auth_method, now)


def _is_as_safe(endpoint: str, issuer: str) -> bool:
    """An endpoint is encrypted, unless the issuer itself is not."""
    scheme = urlsplit(endpoint).scheme
    return scheme == "https" or (scheme == "http" and urlsplit(issuer).scheme == "http")


def _read_object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise ProviderUnavailable("the provider's answer is not JSON") from error
    if not isinstance(document, dict):
        raise ProviderUnavailable("the provider's answer is no JSON object")
    return document


def _claims(token: str, keys: KeySet) -> Mapping[str, Any]:
    """What the token says; InvalidKeyIdError when the signing key is unknown, ProofRefused for everything else."""
    try:
        return jwt.decode(token, keys, algorithms=ALGORITHMS).claims
    except InvalidKeyIdError:
        raise
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ProofRefused(f"{type(error).__name__}: {error}") from error


def _require_claims(
    claims: Mapping[str, Any], provider: _Provider, client_id: str, attempt: Attempt, now: datetime
) -> None:
    """Raise ProofRefused unless the token is for us, of this attempt, and of now (OpenID Connect Core, 3.1.3.7)."""
    registry = JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=CLOCK_LEEWAY_SECONDS,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": attempt.nonce},
    )
    try:
        registry.validate(dict(claims))
    except JoseError as error:
        raise ProofRefused(str(error)) from error
    audience = claims["aud"]
    is_shared = isinstance(audience, list) and len(audience) > 1
    if (is_shared or "azp" in claims) and claims.get("azp") != client_id:
        raise ProofRefused("the token is for another party")
    if not 0 < len(claims["sub"]) <= MAX_CLAIM_LENGTH or not claims["sub"].isprintable():
        raise ProofRefused("the subject has no usable length")


def _is_written_plainly(email: str) -> bool:
    """Whether the address is the one it looks like: the Kelvin sign in lower case is a k, and another mailbox."""
    return email.isprintable() and unicodedata.is_normalized("NFKC", email)


def _identity(claims: Mapping[str, Any], provider: _Provider) -> ProvenIdentity:
    email = claims.get("email") if claims.get("email_verified") is True else None
    is_usable = isinstance(email, str) and 0 < len(email) <= MAX_CLAIM_LENGTH and _is_written_plainly(email)
    methods = claims.get("amr")
    named = {method for method in methods if isinstance(method, str)} if isinstance(methods, list) else set()
    return ProvenIdentity(
        provider.issuer,
        str(claims["sub"]),
        str(email) if is_usable else None,
        not named.isdisjoint(PROOFS_OF_A_SECOND_FACTOR),
    )
