"""Other people's DKIM, and ours, behind one face: sign(message, forms, kind) and verify(message).

`forms` is (header, body), `kind` is "rsa" or "ed25519". sign() gives the field with its line end;
verify() gives a list of words, "pass" first in each that passed. `kinds` are those it knows;
differs(forms, body) says why it reads such a body otherwise than RFC 6376 §3.4, or nothing: all of them
have no line end at their end, cannot come by DATA, and peers disagree about them. fails_itself(forms,
kind) says why it may make a signature that it does not verify itself.
"""

import base64
import ctypes
import json
import os
import pathlib
import subprocess
import time

import dkim

DOMAIN = "example.org"
HERE = pathlib.Path(__file__).resolve().parent


class Keys:
    """An RSA and an Ed25519 key made by openssl, and their records."""

    def __init__(self, folder):
        self.files, self.pem, self.zone = {}, {}, {}
        for kind, extra in (("rsa", ["-pkeyopt", "rsa_keygen_bits:2048"]), ("ed25519", [])):
            path = pathlib.Path(folder) / f"{kind}.pem"
            subprocess.run(
                ["openssl", "genpkey", "-algorithm", kind, "-out", str(path)] + extra,
                check=True,
                capture_output=True,
            )
            der = self._openssl(path, "-pubout")
            public = der[-32:] if kind == "ed25519" else der
            self.files[kind] = str(path)
            self.pem[kind] = path.read_text()
            self.zone[f"{kind}._domainkey.{DOMAIN}"] = (
                f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}"
            )
        self.seed = self._openssl(self.files["ed25519"])[-32:]
        self.table = pathlib.Path(folder) / "keys"
        self.table.write_text("".join(f"{name} {text}\n" for name, text in self.zone.items()))

    @staticmethod
    def _openssl(path, *extra):
        command = ["openssl", "pkey", "-in", str(path), "-outform", "DER", *extra]
        return subprocess.run(command, check=True, capture_output=True).stdout


KINDS = ("rsa", "ed25519")


def _unterminated(body):
    return body and not body.endswith(b"\r\n")


class _Lines:
    """A program that answers each line of JSON with one."""

    def __init__(self, command):
        self._program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, **job):
        self._program.stdin.write(json.dumps(job).encode() + b"\n")
        self._program.stdin.flush()
        line = self._program.stdout.readline()
        if not line:
            raise RuntimeError(f"the helper ended, status {self._program.wait(10)}")
        return json.loads(line)

    def close(self):
        self._program.stdin.close()
        self._program.wait(10)
        self._program.stdout.close()


def _b64(octets):
    return base64.b64encode(octets).decode()


class Ours:
    name = "postrider"
    kinds = KINDS
    piece = 4096

    def __init__(self, keys):
        self.keys = keys
        self._lines = _Lines([os.environ["POSTRIDER_DKIM_HELPER"]])

    def sign(self, message, forms, kind):
        return self.sign_with(message, forms, [kind])

    def sign_with(self, message, forms, kinds):
        answer = self._lines.ask(
            do="sign",
            message=_b64(message),
            keys=[{"pem": self.keys.pem[k], "domain": DOMAIN, "selector": k} for k in kinds],
            header=forms[0],
            body=forms[1],
            now=int(time.time()),
            piece=self.piece,
        )
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return base64.b64decode(answer["fields"])

    def verify(self, message):
        answer = self._lines.ask(
            do="verify", message=_b64(message), zone=self.keys.zone, now=int(time.time()), piece=self.piece
        )
        return [f"{r['code']} {r['reason']}" for r in answer["results"]]

    def record(self, kind):
        return self._lines.ask(do="record", pem=self.keys.pem[kind])["text"]

    def close(self):
        self._lines.close()


class Dkimpy:
    name = "dkimpy"
    kinds = KINDS

    def __init__(self, keys):
        self.keys = keys

    def sign(self, message, forms, kind):
        key = self.keys.pem["rsa"].encode() if kind == "rsa" else base64.b64encode(self.keys.seed)
        return dkim.sign(
            message,
            kind.encode(),
            DOMAIN.encode(),
            key,
            canonicalize=tuple(form.encode() for form in forms),
            signature_algorithm=f"{kind}-sha256".encode(),
        )

    def verify(self, message):
        def records(name, timeout=5):
            return self.keys.zone.get(name.decode().rstrip(".").lower(), "").encode() or None

        checker = dkim.DKIM(message)
        count = sum(1 for name, _ in checker.headers if name.lower() == b"dkim-signature")
        words = []
        for i in range(count):
            try:
                words.append("pass" if dkim.DKIM(message).verify(i, dnsfunc=records) else "fail")
            except dkim.DKIMException as error:
                words.append(f"error {error}")
        return words

    @staticmethod
    def differs(forms, body):
        if forms[1] == "relaxed" and body.endswith((b" ", b"\t")):
            return "white space at the end of a last line without a line end stays"
        return None

    @staticmethod
    def fails_itself(_forms, _kind):
        return None

    def close(self):
        pass


class MailDkim:
    name = "Mail::DKIM"
    kinds = ("rsa",)  # Ed25519 came after the version of Debian 12

    def __init__(self, keys):
        self.keys = keys
        self._lines = _Lines(["perl", str(HERE / "dkim_peer.pl")])

    def sign(self, message, forms, kind):
        answer = self._lines.ask(
            do="sign",
            message=_b64(message),
            algorithm=f"{kind}-sha256",
            method="/".join(forms),
            domain=DOMAIN,
            selector=kind,
            keyfile=self.keys.files[kind],
        )
        return base64.b64decode(answer["field"]) + b"\r\n"

    def verify(self, message):
        return self._lines.ask(do="verify", message=_b64(message), zone=self.keys.zone)["results"]

    @staticmethod
    def differs(forms, body):
        if forms[1] == "simple" and _unterminated(body):
            return "no line end is added in the simple form"
        return None

    @staticmethod
    def fails_itself(_forms, _kind):
        return None

    def close(self):
        self._lines.close()


class OpenDkim:
    """libopendkim, whose library call reads keys from a file."""

    name = "OpenDKIM"
    _SET, _QUERY_METHOD, _QUERY_INFO, _FILE, _FEATURE_ED25519 = 1, 6, 7, 1, 11
    _SIGN = {"rsa": 1, "ed25519": 2}

    def __init__(self, keys):
        self.keys = keys
        lib = self._lib = ctypes.CDLL("libopendkim.so.11")
        for call in ("dkim_init", "dkim_sign", "dkim_verify"):
            getattr(lib, call).restype = ctypes.c_void_p
        lib.dkim_geterror.restype = ctypes.c_char_p
        self._handle = ctypes.c_void_p(lib.dkim_init(None, None))
        method = ctypes.c_int(self._FILE)
        path = ctypes.create_string_buffer(str(keys.table).encode())
        size = ctypes.c_size_t
        lib.dkim_options(
            self._handle, self._SET, self._QUERY_METHOD, ctypes.byref(method), size(ctypes.sizeof(method))
        )
        lib.dkim_options(self._handle, self._SET, self._QUERY_INFO, path, size(len(path)))
        knows_ed25519 = lib.dkim_libfeature(self._handle, self._FEATURE_ED25519)
        self.kinds = KINDS if knows_ed25519 else ("rsa",)

    def _feed(self, one, message):
        """Returns the status of the end of the message."""
        lib, size = self._lib, ctypes.c_size_t
        header, _, body = message.partition(b"\r\n\r\n")
        for field in header.replace(b"\r\n ", b"\0 ").replace(b"\r\n\t", b"\0\t").split(b"\r\n"):
            field = field.replace(b"\0", b"\r\n")
            lib.dkim_header(one, field, size(len(field)))
        status = lib.dkim_eoh(one)
        if status:
            return status
        if body:
            lib.dkim_body(one, body, size(len(body)))
        return lib.dkim_eom(one, None)

    def sign(self, message, forms, kind):
        lib, status = self._lib, ctypes.c_int()
        canon = [1 if form == "relaxed" else 0 for form in forms]
        one = ctypes.c_void_p(
            lib.dkim_sign(
                self._handle, b"id", None, self.keys.pem[kind].encode(), kind.encode(), DOMAIN.encode(),
                canon[0], canon[1], self._SIGN[kind], ctypes.c_ssize_t(-1), ctypes.byref(status),
            )
        )
        if not one:
            raise RuntimeError(f"dkim_sign: {status.value}")
        try:
            ended = self._feed(one, message)
            if ended:
                raise RuntimeError(f"dkim_eom: {ended} {lib.dkim_geterror(one)}")
            buffer = ctypes.create_string_buffer(16384)
            lib.dkim_getsighdr(one, buffer, ctypes.c_size_t(len(buffer)), ctypes.c_size_t(16))
            value = buffer.value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            return b"DKIM-Signature: " + value + b"\r\n"
        finally:
            lib.dkim_free(one)

    def verify(self, message):
        """Messages with one signature only: it stops at the first good one."""
        lib, status = self._lib, ctypes.c_int()
        one = ctypes.c_void_p(lib.dkim_verify(self._handle, b"id", None, ctypes.byref(status)))
        try:
            ended = self._feed(one, message)
            return ["pass" if ended == 0 else f"status {ended} {lib.dkim_geterror(one)}"]
        finally:
            lib.dkim_free(one)

    @staticmethod
    def differs(forms, body):
        if forms[1] == "relaxed" and _unterminated(body):
            return "a body without a line end is refused"
        return None

    @staticmethod
    def fails_itself(forms, kind):
        if forms[0] == "simple" and kind == "ed25519":
            return "it folds before b= as if the signature were half as long, then otherwise"
        return None

    def close(self):
        self._lib.dkim_close(self._handle)
