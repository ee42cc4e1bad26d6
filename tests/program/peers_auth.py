"""Peers that log in where they send mail on, as USER with SECRET, and, where they are `closed`, take
mail only behind such a login."""

from peers import Exim, Haraka, OpenSmtpd, Postfix
from peers_sendmail import Sendmail

USER = "alice@our.test"
SECRET = "pencil-and-paper"

EXIM_AUTH = f"""begin authenticators
in_plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{SECRET}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
out_plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^{USER}^{SECRET}
begin retry"""


class EximWithAuth(Exim):
    closed = False

    def write(self, name, text):
        if name == "exim.conf":
            text = text.replace("begin retry", EXIM_AUTH)
            text = text.replace("  allow_localhost\n", "  allow_localhost\n  hosts_require_auth = *\n")
            if self.closed:
                text = text.replace("everyone:\n", "everyone:\n  deny\n    !authenticated = *\n"
                                                   "    message = log in first\n", 1)
        return super().write(name, text)


class PostfixWithAuth(Postfix):
    """Closed where it has Dovecot's socket, which knows the password."""

    dovecot = None

    def write(self, name, text):
        if name == "main.cf":
            text += ("smtp_sasl_auth_enable = yes\nsmtp_sasl_security_options =\n"
                     f"smtp_sasl_password_maps = static:{USER}:{SECRET}\n")
            if self.dovecot:
                text += ("smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\n"
                         f"smtpd_sasl_path = {self.dovecot}\nsmtpd_tls_auth_only = yes\n"
                         "smtpd_client_restrictions = permit_sasl_authenticated, reject\n"
                         "smtpd_delay_reject = yes\n")
        return super().write(name, text)


class OpenSmtpdWithAuth(OpenSmtpd):
    """As a client only: as a server this build of it fails every handshake."""

    def write(self, name, text):
        if name == "smtpd.conf":
            text = f'table secrets {{ "here" = "{USER}:{SECRET}" }}\n' + text.replace(
                f'"smtp+notls://127.0.0.1:{self.onward}"',
                f'"smtp+tls://here@127.0.0.1:{self.onward}" auth <secrets> tls no-verify')
        return super().write(name, text)


class HarakaWithAuth(Haraka):
    closed = False

    def configure(self):
        super().configure()
        self.write("config/tls.ini", f"key={self.tls.key}\ncert={self.tls.chain}\n"
                                     "rejectUnauthorized=false\n")
        self.write("config/auth_flat_file.ini",
                   f"[core]\nmethods=PLAIN\n[users]\n{USER}={SECRET}\n")
        if self.closed:
            # What came behind a login would be sent on, and not be kept.
            self.write("plugins/closed.js", """exports.hook_mail = (next, connection) => {
    if (!connection.notes.auth_user) return next(DENY, 'log in first');
    connection.relaying = false;
    next();
};
""")
            plugins = self.directory / "config/plugins"
            plugins.write_text("tls\nauth/flat_file\nclosed\n" + plugins.read_text())
        forward = self.directory / "config/smtp_forward.ini"
        forward.write_text(forward.read_text() + f"enable_tls=true\nauth_type=plain\n"
                           f"auth_user={USER}\nauth_pass={SECRET}\n[tls]\nrejectUnauthorized=false\n")


class SendmailWithAuth(Sendmail):
    """As a client only: its server would look for users in a database of the system."""

    def more_rules(self):
        return f'Sauthinfo\nR$*\t$# "U:{USER}" "I:{USER}" "P:{SECRET}" "M:PLAIN"\n'
