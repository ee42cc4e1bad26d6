"""A proxy between two programs that speak SMTP: what each said is kept, and nothing is changed.

    with Wire(server.port) as wire:
        ...a client connects to wire.port...
        wire.commands()    # every command line of every connection, in order
        wire.groups()      # how many commands came together, unanswered, at most
"""

import os
import re
import selectors
import socket
import threading

COMMAND = re.compile(rb"^(EHLO|HELO|LHLO|MAIL|RCPT|DATA|BDAT|RSET|NOOP|QUIT|STARTTLS|AUTH|VRFY|"
                     rb"XCLIENT|XFORWARD)\b", re.I)


class Wire:
    """target: a port of 127.0.0.1, or the path of a Unix socket; then `path` takes the place of
    `port`, in a folder that is given."""

    def __init__(self, target, folder=None):
        self.target = target
        if folder is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.port = self.listener.getsockname()[1]
        else:
            self.path = str(folder / "wire.socket")
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
            os.chmod(self.path, 0o777)
            self.listener.listen()
        self.lines = []  # commands of all connections
        self.together = 0
        self.lock = threading.Lock()
        self.closing = False

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing = True
        self.listener.close()

    def accept(self):
        while not self.closing:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            host = self.connect()
        except OSError:
            client.close()
            return
        content = Content()
        with client, host, selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, host)
            ready.register(host, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    try:
                        octets = key.fileobj.recv(65536)
                        if not octets:
                            return
                        if key.fileobj is client:
                            self.note(content, octets)
                        else:
                            content.hear(octets)
                        key.data.sendall(octets)
                    except OSError:
                        return

    def connect(self):
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target))
        host = socket.socket(socket.AF_UNIX)
        host.connect(str(self.target))
        return host

    def note(self, content, octets):
        found = content.commands_in(octets)
        with self.lock:
            self.lines += found
            self.together = max(self.together, len(found))

    def commands(self):
        with self.lock:
            return list(self.lines)

    def forget(self):
        with self.lock:
            self.lines, self.together = [], 0


class Content:
    """Tells commands from content: behind a 354 until the dot, and the octets of a BDAT. Behind
    STARTTLS nothing can be told."""

    def __init__(self):
        self.in_data = False
        self.chunk = 0
        self.rest = b""
        self.secret = False

    def hear(self, octets):
        if any(line.startswith(b"354") for line in octets.split(b"\r\n")):
            self.in_data = True

    def commands_in(self, octets):
        found = []
        self.rest += octets
        while self.rest and not self.secret:
            if self.chunk:
                taken = min(self.chunk, len(self.rest))
                self.chunk -= taken
                self.rest = self.rest[taken:]
            elif self.in_data:
                end = (b"\r\n" + self.rest).find(b"\r\n.\r\n")
                if end < 0:
                    self.rest = self.rest[-4:]
                    return found
                self.in_data = False
                self.rest = self.rest[end + 3:]
            else:
                line, separator, rest = self.rest.partition(b"\r\n")
                if not separator:
                    return found
                self.rest = rest
                if COMMAND.match(line):
                    found.append(line.decode("utf-8", "replace"))
                if line.upper().startswith(b"BDAT "):
                    self.chunk = int(line.split()[1])
                self.secret = line.upper() == b"STARTTLS"
        return found
