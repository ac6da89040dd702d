"""An OpenID Connect provider on a real socket, which keeps the rules that Keycloak and its like keep: codes are good once and for
one client, one address and one verifier; tokens are signed with a key that it publishes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

from aiohttp import web
from joserfc import jwk, jwt

SECRET = "client s3cret/+"


@dataclass
class Provider:
    """Who is signed in there (`who`: his claims), and what it does wrong. `wrong` replaces claims of the token."""

    issuer: str = ""
    client_id: str = "ctserver"
    who: dict[str, Any] = field(default_factory=dict)
    wrong: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    says_no: str = ""
    down: bool = False
    answer: web.Response | None = None  # instead of tokens
    only_userinfo: bool = False
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.codes: dict[str, dict[str, str]] = {}
        self.rotate()

    def rotate(self, *, publish: bool = True) -> None:
        """A new key; without `publish` it signs with one that nobody can look up."""
        self.key = jwk.ECKey.generate_key("P-256", {"kid": secrets.token_hex(4), "use": "sig", "alg": "ES256"})
        if publish:
            self.published = [self.key.as_dict(private=False)]

    async def answer_for(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.down:
            return web.Response(status=503, text="<h1>Bad gateway</h1>")
        handlers: dict[str, Any] = {
            "/.well-known/openid-configuration": self._metadata,
            "/keys": lambda _: web.json_response({"keys": [*self.published, {"kty": "NEW", "kid": "from the future"}]}),
            "/authorize": self._authorize,
            "/token": self._token,
            "/userinfo": self._userinfo,
        }
        made = handlers[request.path](request)
        return made if isinstance(made, web.StreamResponse) else await made

    def _metadata(self, _: web.Request) -> web.Response:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        return web.json_response(found | self.metadata)

    def _authorize(self, request: web.Request) -> web.Response:
        """Somebody who is signed in already is sent back at once."""
        query = dict(request.query)
        assert query["response_type"] == "code"
        assert query["client_id"] == self.client_id
        assert query["code_challenge_method"] == "S256"
        assert query["scope"].split()[0] == "openid"
        back = {"state": query["state"], "iss": self.issuer}
        if self.says_no:
            back |= {"error": self.says_no, "error_description": "<b>not you</b>"}
        else:
            code = secrets.token_urlsafe(8)
            self.codes[code] = query
            back["code"] = code
        return web.Response(status=302, headers={"Location": f"{query['redirect_uri']}?{urlencode(back)}"})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self.codes.pop(str(form.get("code")), None)
        challenge = _base64(hashlib.sha256(str(form["code_verifier"]).encode()).digest())
        if not self._is_client(request.headers.get("Authorization", ""), form):
            return web.json_response({"error": "invalid_client", "error_description": f"not {SECRET}"}, status=401)
        if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if self.answer is not None:
            return self.answer
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": self.client_id, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= {"sub": self.who["sub"]} if self.only_userinfo else self.who
        return web.json_response({"access_token": "opaque", "token_type": "Bearer", "id_token": self.signed(claims)})

    def signed(self, claims: dict[str, Any]) -> str:
        claims = {name: value for name, value in (claims | self.wrong).items() if value is not None}
        header = {"alg": "ES256", "kid": self.key.kid} | self.header
        if header["alg"] == "ES256":
            return jwt.encode(header, claims, self.key)
        plain = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        if header["alg"] == "none":
            return f"{plain}."
        public = self.key.as_pem(private=False)  # HS256: as if the key that everybody may read were a shared secret
        return f"{plain}.{_base64(hmac.digest(public, plain.encode(), 'sha256'))}"

    def _userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer opaque"
        return web.json_response(self.who | {"sub": self.wrong.get("userinfo_sub", self.who["sub"])})

    def _is_client(self, header: str, form: Any) -> bool:
        if self.metadata.get("token_endpoint_auth_methods_supported") == ["client_secret_post"]:
            return (form.get("client_id"), form.get("client_secret"), header) == (self.client_id, SECRET, "")
        id, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return (unquote(id), unquote(secret)) == (self.client_id, SECRET)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
