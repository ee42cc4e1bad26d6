"""A next host that answers by a script, and keeps what it was told and given."""

import socket
import threading

from server import LIMIT


class Visit:
    """One connection, as the host saw it."""

    def __init__(self, source):
        self.source = source  # the client's address
        self.lines = []       # its commands; content is not among them

    @property
    def hello_name(self):
        words = [line.split()[1] for line in self.lines if line[:5].upper() in ("EHLO ", "HELO ")]
        return words[0] if words else None

    def said(self, begin):
        """The commands that begin so, in any case."""
        return [line for line in self.lines if line.upper().startswith(begin.upper())]


class Scripted:
    """Answers by a script: a function from the client's line to a reply, or None to hang up. Notes
    each message it took. Without a port: one that the system chooses. It hangs up when it has heard
    nothing for `patience` seconds."""

    def __init__(self, answer, address="127.0.0.1", port=0, patience=LIMIT):
        self.answer = answer
        self.patience = patience
        self.messages = []
        self.visits = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.create_server((address, port), family=family)
        self.address = address
        self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Closed alone, the socket would listen on as long as accept() waits in it.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join(LIMIT)
        self.listener.close()

    @property
    def connections(self):
        return len(self.visits)

    def accept(self):
        while True:
            try:
                connection, source = self.listener.accept()
            except OSError:
                return
            visit = Visit(source[0])
            self.visits.append(visit)
            threading.Thread(target=self.serve, args=(connection, visit), daemon=True).start()

    def serve(self, connection, visit):
        connection.settimeout(self.patience)
        with connection, connection.makefile("rb") as lines:
            try:
                connection.sendall(self.answer("") or b"")
                while line := lines.readline():
                    word = line.decode().strip()
                    visit.lines.append(word)
                    chunk = b""
                    if word.upper().startswith("BDAT "):  # all of a message in one chunk
                        chunk = lines.read(int(word.split()[1]))
                    reply = self.answer(word)
                    if reply is None:
                        return
                    if chunk and reply.startswith(b"250"):
                        self.messages.append(chunk)
                    connection.sendall(reply)
                    if word.upper() == "DATA" and reply.startswith(b"354"):
                        content = b""
                        while (line := lines.readline()) != b".\r\n":
                            if not line:
                                return
                            content += line[1:] if line.startswith(b".") else line
                        reply = self.answer(".")
                        if reply is None:
                            return
                        # "." alone: the client has no recipient left (RFC 2920 section 3.1).
                        if reply.startswith(b"250") and content:
                            self.messages.append(content)
                        connection.sendall(reply)
            except OSError:
                pass


def polite(word):
    if word == "":
        return b"220 far.test ESMTP\r\n"
    verb = word.split()[0].upper()
    return {"EHLO": b"250-far.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n", "DATA": b"354 go\r\n",
            "QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n")


def but(**exceptions):
    """polite, but for some verbs; DOT is the end of the message, HELLO the greeting. A list is used
    up reply by reply."""
    def answer(word):
        verb = {"": "HELLO", ".": "DOT"}.get(word, word.split()[0].upper() if word else "")
        reply = exceptions.get(verb, polite(word))
        if isinstance(reply, list):
            reply = reply.pop(0) if reply else polite(word)
        return reply
    return answer
