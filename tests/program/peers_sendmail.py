"""Sendmail, unpacked below build/peers as those of peers.py are. Its configuration is made by m4 out
of its own macros; README.md says what it needs."""

import pwd
import shutil
import subprocess

from peer import MAIL_USER, MOUNT_USERS, Peer
from server import LIMIT

# Lines that m4 expands: its quotes are ` and '.
MACROS = """
define(`_CF_DIR_', `{cf}/')dnl
include(`{cf}/m4/cf.m4')dnl
OSTYPE(`unknown')dnl
define(`confDOMAIN_NAME', `{hostname}')dnl
define(`QUEUE_DIR', `{own}/queue')dnl
define(`STATUS_FILE', `{own}/status')dnl
define(`HELP_FILE', `{own}/help')dnl
define(`confPID_FILE', `{own}/pid')dnl
define(`confSERVICE_SWITCH_FILE', `{own}/switch')dnl
define(`confHOSTS_FILE', `/etc/hosts')dnl
define(`confCR_FILE', `-o {own}/none')dnl
define(`confCT_FILE', `-o {own}/none')dnl
define(`confCW_FILE', `-o {own}/none')dnl
define(`confDEF_USER_ID', `{user}:{group}')dnl
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl
define(`confTO_IDENT', `0')dnl
define(`confTO_QUEUERETURN', `5d')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confMAX_MESSAGE_SIZE', `{size_max}')dnl
define(`confMAX_DAEMON_CHILDREN', `40')dnl
define(`confEIGHT_BIT_HANDLING', `pass8')dnl
define(`confREFUSE_LA', `0')dnl
define(`confQUEUE_LA', `1000')dnl
undefine(`ALIAS_FILE')dnl
{tls}
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`no_default_msa')dnl
define(`SMART_HOST', `relay:[127.0.0.1]')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {onward}')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA, Port={port}, Addr=127.0.0.1, M={modifiers}')dnl
MAILER_DEFINITIONS
MAILER(`smtp')dnl
Mkeep, P=/bin/sh, F=lPnmu8, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\n, L=0, T=DNS/RFC822/X-Unix,
\tA=sh {own}/keep {own}/mail/inbox/new $u
LOCAL_RULE_0
R$* < @ far.test > $*\t$#keep $: $1 @ far.test
R$* < @ far.test. > $*\t$#keep $: $1 @ far.test
LOCAL_RULESETS
SLocal_check_rcpt
R$* refused @ far.test $*\t$#error $@ 5.1.1 $: "550 nobody wants this"
{rules}
"""

# Names are drawn by mktemp, with a dot until the message is whole.
KEEP = """set -e
file=$(mktemp "$1/.XXXXXXXXXX")
cat > "$file"
mv "$file" "$1/${file##*/.}"
"""


class Sendmail(Peer):
    """Keeps nothing of mail for far.test but by a program of the test's own, and has no log but the
    dialogues that it held."""

    NAME = "sendmail"
    NAMESPACE = MOUNT_USERS

    def configure(self):
        self.write_users()
        self.make_folder("queue", "root", 0o700)
        self.make_folder("mail/inbox/new", MAIL_USER)
        for name, text in (("help", ""), ("status", ""), ("switch", "hosts files\n"),
                           ("keep", KEEP)):
            self.write(name, text)
        macros = MACROS.format(
            cf=self.root / "usr/share/sendmail/cf", own=self.directory, hostname=self.hostname,
            user=MAIL_USER, group=pwd.getpwnam(MAIL_USER).pw_gid, size_max=self.size_max,
            port=self.port, onward=self.onward or 1, modifiers="" if self.tls else "S",
            tls=self.server_tls(), rules=self.more_rules())
        done = subprocess.run(["m4"], input=macros, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stderr
        self.config = self.write("sendmail.cf", done.stdout)

    def server_tls(self):
        if not self.tls:
            return ""
        # It takes no key that others may read.
        key = self.directory / "key"
        shutil.copy(self.tls.key, key)
        key.chmod(0o600)
        return "".join(f"define(`conf{name}', `{path}')dnl\n" for name, path in (
            ("SERVER_CERT", self.tls.chain), ("SERVER_KEY", key),
            ("CACERT", self.tls.chain), ("CACERT_PATH", self.directory)))

    def more_rules(self):
        """More of its rule sets."""
        return ""

    def command(self):
        return [str(self.root / "usr/libexec/sendmail/sendmail"), "-C", str(self.config), "-X",
                str(self.directory / "log"), "-bD", "-q1s"]

    def messages(self):
        return [path.read_bytes() for path in sorted((self.directory / "mail/inbox/new").iterdir())
                if not path.name.startswith(".")]
