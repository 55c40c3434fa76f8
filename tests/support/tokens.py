"""A token server as registries have one: who shows the right password is given a signed token for what it may do.

    server = TokenServer(folder, certificate, accounts={"edge": "secret"}, rights={"edge": {"team/image"}})
    Registry(folder, tokens=server)

It speaks TLS, with the certificate of the tests: credentials go to another host over TLS alone.
Source: the distribution project's "Docker Registry v2 authentication via central service", RFC 7519.
"""
import base64
import collections
import json
import os
import ssl
import subprocess
import time
from urllib.parse import parse_qs, urlsplit

from support.origin import Answer, Origin


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def show(account, password):
    """The field that shows them."""
    return {"Authorization": "Basic " + base64.b64encode(f"{account}:{password}".encode()).decode()}


class TokenServer(Origin):
    """`accounts`: name -> password. `rights`: name -> images that it may pull and push; None: whoever shows nobody's.

    `lifetime`: of a token, in seconds: what its bearer is told, and what the registry reads in it.
    """

    SERVICE, ISSUER = "test", "test issuer"

    def __init__(self, folder, certificate, accounts, rights, lifetime=300):
        self.accounts, self.rights, self.lifetime = accounts, rights, lifetime
        self.ca, self._key = str(folder / "signer.pem"), str(folder / "signer.key")
        self.sign_anew()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(*certificate)
        self.given = []  # tokens
        super().__init__()

    @property
    def realm(self):
        return f"https://127.0.0.1:{self.port}/token"

    def sign_anew(self):
        """Under another key: a registry that is started now takes no token of before."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
                        "/CN=signer", "-keyout", self._key, "-out", self.ca], check=True, capture_output=True)

    def scopes(self):
        """How often each was asked for; "": a login."""
        with self._changed:
            queries = [parse_qs(urlsplit(request.target).query) for request in self.requests]
        return collections.Counter(" ".join(query.get("scope", [""])) for query in queries)

    def _serve(self, connection, number):
        with self._changed:
            self._open.discard(connection)
        try:
            connection = self._tls.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()
            return
        with self._changed:
            self._open.add(connection)
        super()._serve(connection, number)

    def _answer(self, request):
        account = self._account(request.fields.get("authorization", ""))
        if account is False:
            return Answer(401, {"Content-Type": "application/json"}, b'{"errors":[{"code":"UNAUTHORIZED"}]}')
        scopes = parse_qs(urlsplit(request.target).query).get("scope", [])
        token = self.token(account, [self._granted(account, scope) for scope in scopes])
        self.given.append(token)
        body = json.dumps({"token": token, "expires_in": self.lifetime}).encode()
        return Answer(200, {"Content-Type": "application/json"}, body)

    def _account(self, shown):
        """None: nobody's; False: a wrong password."""
        if not shown:
            return None
        kind, _, text = shown.partition(" ")
        name, _, password = base64.b64decode(text).decode().partition(":") if kind == "Basic" else ("", "", "")
        return name if self.accounts.get(name, "") == password != "" else False

    def _granted(self, account, scope):
        kind, name, actions = scope.split(":")
        may = name in self.rights.get(account, ())
        return {"type": kind, "name": name, "actions": actions.split(",") if may else []}

    def token(self, account, access, lifetime=None):
        """A JWT, signed by the openssl command."""
        with open(self.ca, encoding="ascii") as file:
            certificate = "".join(file.read().split("-----")[2].split())
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        claims = {"iss": self.ISSUER, "sub": account or "", "aud": self.SERVICE, "iat": now, "nbf": now - 10,
                  "exp": now + (self.lifetime if lifetime is None else lifetime), "jti": os.urandom(8).hex(),
                  "access": access}
        text = ".".join(unpadded(json.dumps(part).encode()) for part in (head, claims))
        done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self._key], input=text.encode(), check=True,
                              capture_output=True)
        return f"{text}.{unpadded(done.stdout)}"
