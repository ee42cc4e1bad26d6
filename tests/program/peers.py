"""Other people's mail servers, unpacked below build/peers: Postfix, Exim, OpenSMTPD, Dovecot.

    with Postfix(onward=server.port) as peer:
        peer.take(content, "alice@our.test")   # by SMTP; it sends the message on to Postrider
        peer.messages()                        # what it got for addresses of far.test

Each keeps mail for far.test (whatever the local part) in one Maildir, and sends everything else to
127.0.0.1:onward. refused@far.test is refused at RCPT. README.md says what each needs.
"""

import grp
import os
import pwd
import subprocess

from peer import (IS_ROOT, MADE_UP_USERS, MAIL_USER, MOUNT_USERS, PEERS, SERVICE_USER, Peer,
                  free_port)
from server import LIMIT, Client


class Postfix(Peer):
    NAME = "postfix"
    OWNED = "active bounce corrupt defer deferred flush hold incoming private saved trace"

    def configure(self):
        queue = self.make_folder("queue")
        for name in self.OWNED.split():
            self.make_folder(f"queue/{name}", SERVICE_USER, 0o700)
        # Here setgid_group would let local users in; the test is the only one and comes by SMTP.
        self.make_folder("queue/public", SERVICE_USER, 0o755)
        self.make_folder("queue/maildrop", SERVICE_USER, 0o700)
        self.make_folder("queue/pid")
        data = self.make_folder("data", SERVICE_USER, 0o700)
        mail = self.make_folder("mail", MAIL_USER)
        user = pwd.getpwnam(MAIL_USER)
        daemons = self.root / "usr/lib/postfix/sbin"
        self.write("main.cf", f"""
compatibility_level = 3.6
myhostname = {self.hostname}
queue_directory = {queue}
data_directory = {data}
command_directory = {self.root}/usr/sbin
daemon_directory = {daemons}
mail_owner = {SERVICE_USER}
setgid_group = games
default_privs = {MAIL_USER}
import_environment = LD_LIBRARY_PATH MAIL_CONFIG TZ=UTC
maillog_file = {self.directory}/log
maillog_file_prefixes = {self.directory}
alias_maps =
alias_database =
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
mydestination =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
    check_recipient_access inline:{{{{ refused@far.test = 550 5.1.1 nobody wants this }}}}
smtpd_discard_ehlo_keywords = {"" if self.eight_bit else "8bitmime"}
smtpd_peername_lookup = no
{self.server_tls()}
virtual_mailbox_domains = far.test
virtual_mailbox_base = {mail}
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{user.pw_uid}
virtual_gid_maps = static:{user.pw_gid}
virtual_mailbox_limit = 0
message_size_limit = {self.size_max}
local_header_rewrite_clients =
smtp_dns_support_level = disabled
smtp_tls_security_level = {"encrypt" if self.tls else "none"}
relayhost = {f"[127.0.0.1]:{self.onward}" if self.onward else ""}
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
""")
        lines = [f"127.0.0.1:{self.port} inet n - n - - smtpd"]
        for service, wakeup, limit, command in (
                ("pickup", "60", "1", "pickup"), ("cleanup", "-", "0", "cleanup"),
                ("qmgr", "300", "1", "qmgr"), ("rewrite", "-", "-", "trivial-rewrite"),
                ("bounce", "-", "0", "bounce"), ("defer", "-", "0", "bounce"),
                ("trace", "-", "0", "bounce"), ("verify", "-", "1", "verify"),
                ("flush", "1000?", "0", "flush"), ("proxymap", "-", "-", "proxymap"),
                ("smtp", "-", "-", "smtp"), ("relay", "-", "-", "smtp"),
                ("lmtp", "-", "-", "lmtp"), ("virtual", "-", "-", "virtual"),
                ("showq", "-", "-", "showq"), ("error", "-", "-", "error"),
                ("retry", "-", "-", "error"), ("discard", "-", "-", "discard"),
                ("anvil", "-", "1", "anvil"), ("scache", "-", "1", "scache")):
            private = "n" if service in ("pickup", "cleanup", "qmgr", "showq", "flush") else "-"
            unprivileged = "n" if service in ("virtual", "proxymap") else "-"
            lines.append(f"{service} unix {private} {unprivileged} n {wakeup} {limit} {command}")
        if self.tls:
            lines.append("tlsmgr unix - - n 1000? 1 tlsmgr")
        lines.append("postlog unix-dgram n - n - 1 postlogd")
        self.write("master.cf", "\n".join(lines) + "\n")

    def server_tls(self):
        if not self.tls:
            return "smtpd_tls_security_level = none"
        return (f"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {self.tls.chain}\n"
                f"smtpd_tls_key_file = {self.tls.key}\nsmtpd_tls_received_header = yes\n"
                "tls_random_source = dev:/dev/urandom")

    def command(self):
        self.environment["MAIL_CONFIG"] = str(self.directory)
        return [str(self.root / "usr/lib/postfix/sbin/master"), "-c", str(self.directory), "-d"]


class Exim(Peer):
    """Its user is compiled in, by name."""

    NAME = "exim"
    NAMESPACE = MOUNT_USERS

    def configure(self):
        self.write_users()
        user = MADE_UP_USERS["Debian-exim"]
        for name in ("spool", "mail", "logs"):
            self.make_folder(name, user)
        self.config = self.write("exim.conf", f"""
primary_hostname = {self.hostname}
exim_path = {self.root}/usr/sbin/exim4
spool_directory = {self.directory}/spool
log_file_path = {self.directory}/logs/%s
pid_file_path = {self.directory}/spool/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
disable_ipv6 = true
keep_environment =
deliver_drop_privilege = true
message_size_limit = {self.size_max}
{self.server_tls()}
accept_8bitmime = {"true" if self.eight_bit else "false"}
dsn_advertise_hosts = *
acl_smtp_rcpt = everyone
begin acl
everyone:
  deny
    recipients = refused@far.test
    message = nobody wants this
  accept
begin routers
here:
  driver = accept
  domains = far.test
  transport = inbox
onward:
  driver = manualroute
  route_list = * 127.0.0.1::{self.onward or 1}
  self = send
  transport = onward
begin transports
inbox:
  driver = appendfile
  directory = {self.directory}/mail/inbox
  maildir_format
  envelope_to_add
  return_path_add
onward:
  driver = smtp
  allow_localhost
  {"hosts_require_tls = *" if self.tls else "hosts_avoid_tls = *"}
  {"tls_verify_hosts = :" if self.tls else ""}
  {"tls_try_verify_hosts = :" if self.tls else ""}
begin retry
* * F,4d,1s
""")

    def server_tls(self):
        if not self.tls:
            return ""
        return (f"tls_advertise_hosts = *\ntls_certificate = {self.tls.chain}\n"
                f"tls_privatekey = {self.tls.key}")

    def command(self):
        return [str(self.root / "usr/sbin/exim4"), "-C", str(self.config), "-bdf", "-q1s"]

    def log_files(self):
        return [self.directory / "output", self.directory / "logs/main",
                self.directory / "logs/panic"]


class OpenSmtpd(Peer):
    """Its users and folders are compiled in."""

    NAME = "opensmtpd"
    NAMESPACE = MOUNT_USERS + """
mkdir -p {own}/over/lib/opensmtpd/empty {own}/over/spool/smtpd
mkdir -p -m 711 {own}/spool
mount -t overlay -o lowerdir={own}/over/lib:/var/lib overlay /var/lib
mount -t overlay -o lowerdir={own}/over/spool:/var/spool overlay /var/spool
mount --bind {own}/spool /var/spool/smtpd
mount --bind {root}/usr/libexec /usr/libexec
mount -t tmpfs -o mode=755 tmpfs /run
"""

    def configure(self):
        self.write_users()
        self.make_folder("mail", MADE_UP_USERS["keeper"])
        onward = (f'action "onward" relay host "smtp+notls://127.0.0.1:{self.onward}" '
                  f'helo "{self.hostname}"\n'
                  'match from any for any action "onward"\n') if self.onward else ""
        self.config = self.write("smtpd.conf", f"""
smtp max-message-size {self.size_max}
listen on 127.0.0.1 port {self.port} hostname {self.hostname}
action "inbox" maildir "{self.directory}/mail/inbox" user keeper virtual {{ "@" = keeper }}
match from any for domain "far.test" rcpt-to "refused@far.test" reject
match from any for domain "far.test" action "inbox"
{onward}""")
        self.config.chmod(0o600)

    def command(self):
        return [str(self.root / "usr/sbin/smtpd"), "-d", "-v", "-f", str(self.config)]


class Dovecot(Peer):
    """IMAP, POP3 and LMTP over Maildirs; everyone's password is "secret". Also runs without root,
    where users may make namespaces. Its folder of modules is compiled in."""

    NAME = "dovecot"

    NAMESPACE = """
mkdir -p {own}/lib/dovecot
mount -t overlay -o lowerdir={own}/lib:/usr/lib overlay /usr/lib
mount --bind {root}/usr/lib/dovecot /usr/lib/dovecot
"""

    def __init__(self, mailboxes=None, full=(), relay_login=None, **more):
        """mailboxes: the folder of Maildirs, each named after its user; without it, one of its own.
        They belong to MAIL_USER when started as root, else to the user of the test. full: users
        whose quota takes nothing. At port it speaks LMTP, and at socket too. With onward, users
        submit at submission_port, and it passes them on with XCLIENT, behind a login as
        relay_login (user and password)."""
        super().__init__(**more)
        self.relay_login = relay_login
        self.submission_port = free_port()
        self.mailboxes = mailboxes
        self.full = full
        self.imap_port = free_port()
        self.pop3_port = free_port()

    def needs_root(self):
        return False

    def ports(self):
        submission = [self.submission_port] if self.onward else []
        return [self.imap_port, self.pop3_port, self.port, *submission]

    @property
    def socket(self):
        return self.directory / "run/lmtp"

    def tls_lines(self):
        if not self.tls:
            return "ssl = no"
        return f"ssl = yes\nssl_cert = <{self.tls.chain}\nssl_key = <{self.tls.key}"

    def configure(self):
        self.make_folder("mail", MAIL_USER)
        own = pwd.getpwuid(os.geteuid())
        mail_user = pwd.getpwnam(MAIL_USER) if IS_ROOT else own
        service = SERVICE_USER if IS_ROOT else own.pw_name
        login = MAIL_USER if IS_ROOT else own.pw_name
        group = grp.getgrgid(pwd.getpwnam(service).pw_gid).gr_name
        # A user without root cannot enter a chroot.
        no_chroot = "" if IS_ROOT else "".join(
            f"service {name} {{\n  chroot =\n}}\n" for name in
            ("imap-login", "pop3-login", "anvil", "ipc", "stats", "old-stats", "dns-client",
             *(["submission-login"] if self.onward else [])))
        users = self.mailboxes or self.directory / "mail"
        full = "".join(f"{user}::{mail_user.pw_uid}:{mail_user.pw_gid}::{users}/{user}::"
                       "userdb_quota_rule=*:bytes=10\n" for user in self.full)
        self.write("full", full)
        libraries = self.root / "usr/lib/dovecot"
        self.config = self.write("dovecot.conf", f"""
protocols = imap pop3 lmtp {"submission" if self.onward else ""}
listen = 127.0.0.1
base_dir = {self.directory}/run
state_dir = {self.directory}/state
log_path = {self.directory}/log
libexec_dir = {libraries}
mail_plugin_dir = {libraries}/modules
import_environment = LD_LIBRARY_PATH TZ=UTC
default_internal_user = {service}
default_internal_group = {group}
default_login_user = {login}
hostname = {self.hostname}
{self.tls_lines()}
disable_plaintext_auth = no
auth_mechanisms = plain
first_valid_uid = 1
mail_location = maildir:{users}/%n
passdb {{
  driver = static
  args = password=secret
}}
mail_plugins = quota
plugin {{
  quota = maildir:User quota
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {self.directory}/full
}}
userdb {{
  driver = static
  args = uid={mail_user.pw_uid} gid={mail_user.pw_gid} home={users}/%n allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = {self.imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {self.pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {self.port}
  }}
}}
{no_chroot}{self.submission()}""")

    def submission(self):
        if not self.onward:
            return ""
        user, password = self.relay_login
        return f"""
submission_relay_host = 127.0.0.1
submission_relay_port = {self.onward}
submission_relay_trusted = yes
submission_relay_ssl = no
submission_relay_user = {user}
submission_relay_password = {password}
service submission-login {{
  inet_listener submission {{
    port = {self.submission_port}
  }}
}}
"""

    def command(self):
        # dovecot has doveconf run first and looks for it in /usr/bin; so this is what it would do.
        dovecot = [str(self.root / "usr/sbin/dovecot"), "-F", "-c", str(self.config)]
        return [str(self.root / "usr/bin/doveconf"), "-f", "service=master", "-c",
                str(self.config), "-m", "master", "-p", "-e", *dovecot]

    def take(self, content, to, parameters="", sender="sender@example.org"):
        """By LMTP; the one recipient's reply is that of the message."""
        with Client(self.port) as client:
            client.say("LHLO client.example.org")
            for line in (f"MAIL FROM:<{sender}>{parameters}", f"RCPT TO:<{to}>"):
                reply = client.say(line)
                assert reply.startswith("250"), reply
            assert client.say("DATA").startswith("354")
            client.send((b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
            reply = client.reply()
            assert reply.startswith("250"), reply

    def messages(self):
        """What any of its users got."""
        users = self.mailboxes or self.directory / "mail"
        return [path.read_bytes() for folder in ("new", "cur")
                for path in sorted(users.glob(f"*/{folder}/*"))]

    # --- reading, with curl

    def curl(self, url, *words, user="alice"):
        """What curl prints, as octets."""
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--user", f"{user}:secret", url, *words],
            capture_output=True, timeout=LIMIT)
        assert done.returncode == 0, f"{url}: {done.stderr.decode()}"
        return done.stdout

    def imap(self, path, *words, user="alice"):
        return self.curl(f"imap://127.0.0.1:{self.imap_port}/{path}", *words, user=user)

    def pop3(self, path="", *words, user="alice"):
        return self.curl(f"pop3://127.0.0.1:{self.pop3_port}/{path}", *words, user=user)

    def all_by_imap(self, user="alice"):
        """Every message of the inbox."""
        found = self.imap("INBOX", "--request", "SEARCH ALL", user=user).split()[2:]
        return [self.imap(f"INBOX;MAILINDEX={int(number)}", user=user) for number in found]

    def all_by_pop3(self, user="alice"):
        found = self.pop3(user=user).splitlines()
        return [self.pop3(str(int(line.split()[0])), user=user) for line in found if line]


class Haraka(Peer):
    """Written for Node; no Debian package. build/peers/haraka holds what
    `npm install Haraka@3.3.1` makes there."""

    NAME = "haraka"
    PROGRAM = "node_modules/Haraka/bin/haraka"
    MISSING = "build/peers/haraka is missing: npm install Haraka@3.3.1 there"

    @classmethod
    def is_there(cls):
        return (PEERS / cls.NAME / cls.PROGRAM).exists()

    def needs_root(self):
        return False

    def configure(self):
        for name in ("config", "plugins", "queue", "mail/inbox/new"):
            self.make_folder(name)
        defaults = self.root / "node_modules/Haraka/config/connection.ini"
        self.write("config/connection.ini", defaults.read_text())
        self.write("config/smtp.ini", f"listen=127.0.0.1:{self.port}\nnodes=0\n")
        self.write("config/me", self.hostname)
        self.write("config/host_list", "far.test\n")
        self.write("config/loglevel", "INFO")
        self.write("config/databytes", str(self.size_max))
        self.write("config/smtp_forward.ini", f"host=127.0.0.1\nport={self.onward or 1}\n"
                   "enable_outbound=false\n")
        self.write("config/plugins", "open\nqueue/smtp_forward\n" if self.onward
                   else "rcpt_to.in_host_list\nkeep\n")
        self.write("plugins/open.js", "exports.hook_rcpt = (next) => next(OK);\n")
        self.write("plugins/keep.js", f"""
const fs = require('node:fs');
let count = 0;
exports.hook_queue = function (next, connection) {{
    const name = `{self.directory}/mail/inbox/new/${{process.pid}}.${{count++}}`;
    const file = fs.createWriteStream(`${{name}}.part`);
    file.on('finish', () => {{ fs.renameSync(`${{name}}.part`, name); next(OK); }});
    connection.transaction.message_stream.pipe(file, {{ dot_stuffing: false }});
}};
""")

    def command(self):
        node = self.root / "node_modules/node/bin/node"
        return [str(node) if node.exists() else "node", str(self.root / self.PROGRAM), "-c",
                str(self.directory)]

    def messages(self):
        return [path.read_bytes() for path in sorted((self.directory / "mail/inbox/new").iterdir())
                if path.suffix != ".part"]
