"""An OpenID Connect provider: where people are sent to sign in, and what its answer proves.

What it publishes (endpoints, keys) is fetched in the background and kept. Two things cannot be: the code that a browser brings
back is exchanged while the browser waits, and a key that we have not seen is asked for then. Both together take no
longer than `[oidc] timeout_seconds`.

OpenID Connect Core 1.0 and Discovery 1.0; PKCE: RFC 7636; the issuer in the answer: RFC 9207.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from ctserver import ids
from ctserver.config import Settings
from ctserver.domain.identity import Believed, Flow, Identity, NotLetIn, Reason, identity
from ctserver.outbound import GiveUp, OutboundError
from ctserver.outbound.client import Answer, Client

log = logging.getLogger(__name__)

FRESH_SECONDS = 3600.0  # how long endpoints and keys are kept before they are asked for again
RETRY_SECONDS = (2.0, 5.0, 15.0, 60.0, 300.0)
KEYS_AGAIN_SECONDS = 10.0  # an unknown key is looked for that often at most, whoever names it
CLOCKS_APART = 120  # seconds that the provider's clock may be wrong
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with the provider's own key: neither `none`, nor those that whoever knows a public key could make (HS256)."""


@dataclass(frozen=True, slots=True)
class Published:
    """What the provider says of itself."""

    authorize: str
    token: str
    userinfo: str
    keys_at: str
    names_itself: bool  # every answer must name its issuer
    secret_in_body: bool


class Provider:
    """The provider of the settings. Raises ConfigError for a secret that cannot be read."""

    def __init__(self, settings: Settings, now: Callable[[], int] = ids.now_ms) -> None:
        self._oidc = settings.oidc
        self._redirect = f"{settings.server.public_url}/login/oidc/callback"
        self._secret = settings.oidc_secret()
        self._client = Client(settings.outbound.private_networks, seconds=self._oidc.timeout_seconds)
        self._now = now
        self._published: Published | None = None
        self._keys: KeySet | None = None
        self._keys_tried = 0.0
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.problem = "it was not asked yet"

    @property
    def name(self) -> str:
        """For people."""
        return self._oidc.name or self._oidc.host

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep_fresh(), name="sign-in provider")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._client.close()

    # ---- what it publishes

    async def _keep_fresh(self) -> None:
        failures = 0
        while True:
            self._wanted.clear()
            try:
                await self.refresh()
                failures, seconds = 0, FRESH_SECONDS
            except OutboundError as error:
                self.problem, seconds = str(error), RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                log.warning("sign-in provider %s: %s", self.name, error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wanted.wait()
                    await asyncio.sleep(RETRY_SECONDS[0])  # however often it is wanted

    async def refresh(self) -> None:
        """Ask for endpoints and keys. Raises Retry, GiveUp; what was known before stays."""
        issuer = self._oidc.issuer
        said = await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if said.get("issuer") != issuer:
            raise GiveUp(f"it calls itself {str(said.get('issuer'))[:200]!r}: [oidc] issuer must be written the same")
        methods = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        published = Published(
            authorize=self._endpoint(said, "authorization_endpoint"),
            token=self._endpoint(said, "token_endpoint"),
            userinfo=self._endpoint(said, "userinfo_endpoint") if said.get("userinfo_endpoint") else "",
            keys_at=self._endpoint(said, "jwks_uri"),
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
            secret_in_body="client_secret_basic" not in methods and "client_secret_post" in methods,
        )
        self._keys = await self._fetch_keys(published)
        self._published, self.problem = published, ""

    def _endpoint(self, said: Mapping[str, Any], name: str) -> str:
        found = said.get(name)
        secure = ("https://",) if self._oidc.issuer.startswith("https://") else ("https://", "http://")
        if not isinstance(found, str) or not found.startswith(secure):
            raise GiveUp(f"its {name} is {str(found)[:200]!r}, which is no address to trust")
        return found

    async def _fetch_keys(self, published: Published) -> KeySet:
        said = await self._get(published.keys_at)
        keys = [key for key in said.get("keys") or [] if isinstance(key, dict) and key.get("use", "sig") == "sig"]
        try:
            return KeySet.import_key_set({"keys": keys})
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise GiveUp(f"its keys at {published.keys_at} cannot be read: {error}") from None

    async def _get(self, url: str) -> dict[str, Any]:
        return (await self._client.request("GET", url, headers={"Accept": "application/json"})).accept().record()

    # ---- somebody signs in

    def flow(self) -> Flow:
        return Flow(ids.token(), ids.token(), ids.token())

    def address(self, flow: Flow) -> str:
        """Where his browser is sent. Raises NotLetIn."""
        published = self._ready()
        asked = {
            "response_type": "code",
            "client_id": self._oidc.client_id,
            "redirect_uri": self._redirect,
            "scope": " ".join(dict.fromkeys(["openid", *self._oidc.scopes])),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": flow.challenge,
            "code_challenge_method": "S256",
        }
        return f"{published.authorize}{'&' if '?' in published.authorize else '?'}{urlencode(asked)}"

    def _ready(self) -> Published:
        if self._published is None:
            self._wanted.set()
            raise NotLetIn(Reason.AWAY, self.problem)
        return self._published

    async def redeem(self, flow: Flow, answer: Mapping[str, str]) -> Identity:
        """Who brought this answer back: the query of the address that his browser was sent to. Raises NotLetIn."""
        published, issuer = self._ready(), self._oidc.issuer
        if answer.get("iss", issuer) != issuer or (published.names_itself and "iss" not in answer):
            raise NotLetIn(Reason.MISTRUSTED, f"the answer is of {answer.get('iss', 'nobody')[:200]!r}")
        if error := answer.get("error"):
            raise NotLetIn(Reason.DENIED, f"{error} {answer.get('error_description', '')}".strip()[:300])
        try:
            async with asyncio.timeout(self._oidc.timeout_seconds):
                tokens = await self._exchange(published, answer.get("code", ""), flow)
                claims = await self._checked(published, str(tokens.get("id_token") or ""), flow.nonce)
                claims = await self._completed(published, claims, str(tokens.get("access_token") or ""))
        except TimeoutError:
            raise NotLetIn(Reason.AWAY, f"no answer within {self._oidc.timeout_seconds} s") from None
        except GiveUp as error:
            raise NotLetIn(Reason.DENIED, str(error)) from None
        except OutboundError as error:
            raise NotLetIn(Reason.AWAY, str(error)) from None
        return identity(claims, issuer, self._believed())

    def _believed(self) -> Believed:
        oidc = self._oidc
        return Believed(oidc.domains, oidc.trust_email, oidc.role_claim, oidc.roles, oidc.role)

    async def _exchange(self, published: Published, code: str, flow: Flow) -> dict[str, Any]:
        """The code for tokens. Raises Retry, GiveUp."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "code_verifier": flow.verifier,
        }
        user = None
        if self._secret and not published.secret_in_body:
            user = quote(self._oidc.client_id, safe=""), quote(self._secret, safe="")  # RFC 6749, section 2.3.1
        else:
            form |= {"client_id": self._oidc.client_id} | ({"client_secret": self._secret} if self._secret else {})
        secrets = (self._secret, code, flow.verifier)
        headers = {"Accept": "application/json"}
        answer = await self._client.request(
            "POST", published.token, data=form, headers=headers, user=user, secrets=secrets
        )
        return _accepted(answer)

    async def _checked(self, published: Published, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token, if it is one of ours (OpenID Connect Core 1.0, section 3.1.3.7). Raises NotLetIn."""
        try:
            claims = await self._decoded(published, token)
            jwt.JWTClaimsRegistry(
                now=self._now() // 1000,
                leeway=CLOCKS_APART,
                iss={"essential": True, "value": self._oidc.issuer},
                aud={"essential": True, "value": self._oidc.client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise NotLetIn(Reason.MISTRUSTED, f"its token is not good: {error}"[:300]) from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._oidc.client_id) != self._oidc.client_id:
            raise NotLetIn(Reason.MISTRUSTED, "its token was made for another (azp)")
        return claims

    async def _decoded(self, published: Published, token: str) -> dict[str, Any]:
        """With the keys that we know; one that we do not know may be a new one. Raises JoseError, OutboundError."""
        try:
            return jwt.decode(token, self._keys or KeySet([]), algorithms=ALGORITHMS).claims
        except InvalidKeyIdError:
            if time.monotonic() - self._keys_tried < KEYS_AGAIN_SECONDS:
                raise
        self._keys_tried = time.monotonic()
        self._keys = await self._fetch_keys(published)
        return jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims

    async def _completed(self, published: Published, claims: dict[str, Any], access: str) -> dict[str, Any]:
        """Some keep address and groups out of the token, and tell them to whoever asks with it. Raises OutboundError, NotLetIn."""
        wanted = ["email", *([self._oidc.role_claim.partition(".")[0]] if self._oidc.roles else [])]
        if not (access and published.userinfo) or all(name in claims for name in wanted):
            return claims
        headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}
        said = _accepted(await self._client.request("GET", published.userinfo, headers=headers, secrets=[access]))
        if said.get("sub") != claims["sub"]:
            raise NotLetIn(Reason.MISTRUSTED, "what it says of him is of another (sub)")
        return said | claims


def _accepted(answer: Answer) -> dict[str, Any]:
    """Its JSON; of a refusal no more than `error` and what describes it. Raises Retry, GiveUp."""
    if answer.ok:
        return answer.record()
    words = ""
    with contextlib.suppress(OutboundError):
        said = answer.record()
        words = answer.mask(f"{said.get('error', '')} {said.get('error_description', '')}".strip())
    raise answer.refusal(words)
