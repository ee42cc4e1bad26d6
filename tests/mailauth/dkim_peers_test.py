"""Our DKIM against dkimpy, Mail::DKIM and OpenDKIM, both ways, over messages of nasty shapes.

Each message is signed with RSA and with Ed25519 in one of the four pairs of canonical forms; then it
is verified unchanged, and with its body or a signed field changed.
"""

import itertools
import tempfile
import unittest

import dkim_messages
import dkim_peers

COUNT = 300
SEED = 6376
FORMS = list(itertools.product(("relaxed", "simple"), repeat=2))


def cases():
    return zip(itertools.count(), dkim_messages.messages(COUNT, SEED), itertools.cycle(FORMS))


def changed(message, number):
    """The message with one letter more in its Date or, every other time, in its body."""
    if number % 2:
        return message.replace(b"\r\nDate:", b"\r\nDate: X", 1)
    return message + b"X"


class PeersTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.keys = dkim_peers.Keys(cls.folder.name)
        cls.ours = dkim_peers.Ours(cls.keys)
        cls.peers = {
            peer.name: peer(cls.keys)
            for peer in (dkim_peers.Dkimpy, dkim_peers.MailDkim, dkim_peers.OpenDkim)
        }

    @classmethod
    def tearDownClass(cls):
        for one in (cls.ours, *cls.peers.values()):
            one.close()
        cls.folder.cleanup()

    def run_pair(self, signer, verifier):
        """Signs with one and verifies with the other; all must pass, and fail once changed."""
        peer = signer if verifier is self.ours else verifier
        signatures, failures, differences = 0, [], 0
        for (number, message, forms), kind in itertools.product(list(cases()), peer.kinds):
            self.ours.piece = (1, 7, 64, 4096)[number % 4]
            signatures += 1
            body = message.partition(b"\r\n\r\n")[2]
            if peer.differs(forms, body):
                differences += 1
                continue
            signed = signer.sign(message, forms, kind) + message
            words = verifier.verify(signed)
            if peer is signer and peer.fails_itself(forms, kind) and peer.verify(signed) != ["pass"]:
                differences += 1
                continue
            if len(words) != 1 or not words[0].startswith("pass"):
                failures.append(f"{number} {kind} {forms}: {words}")
            if verifier.verify(changed(signed, number))[0].startswith("pass"):
                failures.append(f"{number} {kind} {forms}: passes though changed")
        print(
            f"vectors dkim/signed by {signer.name}, verified by {verifier.name}: "
            f"{signatures - differences - len(failures)} of {signatures}, {differences} differences"
        )
        self.assertEqual(failures, [])

    def test_ours_pass_at_dkimpy(self):
        self.run_pair(self.ours, self.peers["dkimpy"])

    def test_ours_pass_at_mail_dkim(self):
        self.run_pair(self.ours, self.peers["Mail::DKIM"])

    def test_ours_pass_at_opendkim(self):
        self.run_pair(self.ours, self.peers["OpenDKIM"])

    def test_those_of_dkimpy_pass_here(self):
        self.run_pair(self.peers["dkimpy"], self.ours)

    def test_those_of_mail_dkim_pass_here(self):
        self.run_pair(self.peers["Mail::DKIM"], self.ours)

    def test_those_of_opendkim_pass_here(self):
        self.run_pair(self.peers["OpenDKIM"], self.ours)

    def test_two_signatures_of_ours_pass_side_by_side(self):
        for number, message, forms in itertools.islice(cases(), 50):
            body = message.partition(b"\r\n\r\n")[2]
            if self.peers["dkimpy"].differs(forms, body):
                continue
            signed = self.ours.sign_with(message, forms, dkim_peers.KINDS) + message
            for one in (self.ours, self.peers["dkimpy"]):
                words = one.verify(signed)
                self.assertEqual(
                    [word.split()[0] for word in words], ["pass", "pass"], f"{number} {one.name} {words}"
                )

    def test_records_are_as_openssl_has_the_keys(self):
        for kind in dkim_peers.KINDS:
            self.assertEqual(self.ours.record(kind), self.keys.zone[f"{kind}._domainkey.example.org"])


if __name__ == "__main__":
    unittest.main()
