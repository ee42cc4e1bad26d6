"""Makes keys.pem and tokens.json beside itself, with Python's cryptography: no code of ours."""

import base64
import hashlib
import hmac
import json
import pathlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

NOW = 1_700_000_000
HERE = pathlib.Path(__file__).parent


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
STRANGER = ed25519.Ed25519PrivateKey.generate()
PEM = public_pem(RSA) + public_pem(EC) + public_pem(ED)


def sign(alg, text, key=None):
    if alg == "RS256":
        return RSA.sign(text, padding.PKCS1v15(), hashes.SHA256())
    if alg == "ES256":
        r, s = utils.decode_dss_signature(EC.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if alg == "EdDSA":
        return (key or ED).sign(text)
    if alg == "HS256":
        return hmac.new(public_pem(RSA), text, hashlib.sha256).digest()
    return b""


GOOD = {
    "iss": "https://id.example.org",
    "aud": "mail.example.org",
    "email": "alice@example.org",
    "exp": NOW + 3600,
}


def token(alg, change=None, header=None, key=None):
    claims = {**GOOD, **(change or {})}
    claims = {k: v for k, v in claims.items() if v is not None}
    head = {"typ": "JWT", "alg": alg, **(header or {})}
    text = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(sign(alg, text.encode(), key))}"


parts = token("EdDSA").split(".")
other = b64(json.dumps({**GOOD, "email": "mallory@example.org"}).encode())
CASES = [
    ("RS256", token("RS256"), "alice@example.org"),
    ("ES256", token("ES256"), "alice@example.org"),
    ("EdDSA", token("EdDSA"), "alice@example.org"),
    ("one of several audiences", token("EdDSA", {"aud": ["x", "mail.example.org"]}),
     "alice@example.org"),
    ("expired within the leeway", token("EdDSA", {"exp": NOW - 30}), "alice@example.org"),
    ("expired", token("EdDSA", {"exp": NOW - 3600}), None),
    ("without exp", token("EdDSA", {"exp": None}), None),
    ("exp is a text", token("EdDSA", {"exp": "never"}), None),
    ("not yet", token("EdDSA", {"nbf": NOW + 3600}), None),
    ("another issuer", token("EdDSA", {"iss": "https://evil.example"}), None),
    ("another audience", token("EdDSA", {"aud": "other"}), None),
    ("no audience", token("EdDSA", {"aud": None}), None),
    ("no account", token("EdDSA", {"email": None}), None),
    ("account is a number", token("EdDSA", {"email": 7}), None),
    ("alg none", token("none"), None),
    ("HS256 with the public key as the secret", token("HS256"), None),
    ("a stranger's key", token("EdDSA", key=STRANGER), None),
    ("crit", token("EdDSA", header={"crit": ["b64"], "b64": False}), None),
    ("claims exchanged", f"{parts[0]}.{other}.{parts[2]}", None),
    ("alg exchanged", token("RS256").replace(
        b64(json.dumps({"typ": "JWT", "alg": "RS256"}).encode()),
        b64(json.dumps({"typ": "JWT", "alg": "ES256"}).encode())), None),
    ("signed well, and says another alg", token("EdDSA", header={"alg": "RS256"}), None),
    ("signed well, and says none", token("EdDSA", header={"alg": "none"}), None),
    ("signed well, and says no alg", token("EdDSA", header={"alg": None}), None),
    ("without signature", f"{parts[0]}.{parts[1]}.", None),
    ("two parts", f"{parts[0]}.{parts[1]}", None),
    ("four parts", ".".join(parts) + ".x", None),
    ("padding", ".".join(parts) + "=", None),
]

(HERE / "keys.pem").write_bytes(PEM)
(HERE / "weak.pem").write_bytes(public_pem(rsa.generate_private_key(65537, 1024)))
(HERE / "tokens.json").write_text(json.dumps(
    {"now": NOW, "cases": [{"what": w, "token": t, "identity": i} for w, t, i in CASES]},
    indent=1) + "\n")
