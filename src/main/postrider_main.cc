// The program: reads the command line and does what it says.

#include <fmt/format.h>

#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <iterator>

#include "cli/account.h"
#include "cli/domain.h"
#include "cli/operator.h"
#include "cli/send.h"
#include "cli/spool_check.h"
#include "cli/suppression.h"
#include "main/config_file.h"
#include "main/privileges.h"
#include "main/serve.h"
#include "main/version.h"
#include "world/real/real_world.h"

namespace postrider {
namespace {

constexpr const char* kConfigPath = "/etc/postrider/postrider.toml";

cli::Console console() {
    return {[](std::string_view text) { fmt::print("{}", text); },
            [](std::string_view text) { fmt::print(stderr, "{}", text); }};
}

// Runs one command on a world of its own, and gives its exit code.
int run(std::function<Task<int>(world::World&)> command) {
    NoLog log;
    world::real::RealWorld real({.shards = 1, .workers = 1, .rings = false}, log);
    world::World world = real.world();
    int code = cli::kExitFailed;
    auto body = [](world::World& w, std::function<Task<int>(world::World&)>& work, int& out,
                   world::real::RealWorld& whole) -> Task<void> {
        out = co_await work(w);
        whole.stop();
    };
    real.executor().post_to(0, [&] { world.executor.spawn(body(world, command, code, real)); });
    real.run();
    return code;
}

// What several commands share.
struct Common {
    std::string config_path = kConfigPath;
    std::string socket;
    bool json = false;

    void add_to(CLI::App* command) {
        command->add_option("-c,--config", config_path, "configuration file")
            ->capture_default_str();
        command->add_option("--socket", socket,
                            "admin socket of the server (default: the configuration's)");
        command->add_flag("--json", json, "one JSON object per line");
    }

    // The socket, from the command line or the configuration.
    Result<cli::OperatorOptions> operator_options() const {
        if (!socket.empty()) return cli::OperatorOptions{socket, json};
        auto config = load_config_file(config_path);
        if (!config) return std::unexpected(config.error());
        return cli::OperatorOptions{(*config)->admin.socket, json};
    }
};

int complain(const Error& error) {
    fmt::print(stderr, "postrider: {}\n", error.message);
    return cli::kExitConfig;
}

int ask(const Common& common,
        std::function<Task<int>(world::World&, cli::OperatorOptions)> command) {
    auto options = common.operator_options();
    if (!options) return complain(options.error());
    return run([&](world::World& world) { return command(world, *options); });
}

int check(const std::string& path) {
    auto config = load_config_file(path);
    if (!config) {
        fmt::print(stderr, "{}\n", config.error().message);
        return cli::kExitConfig;
    }
    fmt::print("{}: the configuration is sound\n", path);
    return cli::kExitOk;
}

int spool_check(const Common& common, std::string directory) {
    if (directory.empty()) {
        auto config = load_config_file(common.config_path);
        if (!config) return complain(config.error());
        directory = (*config)->data_directory + "/spool";
    }
    return run([&](world::World& world) {
        return cli::spool_check(world, directory, common.json, console());
    });
}

// "127.0.0.1:2525", "[::1]:25", "unix:/path".
Result<world::Endpoint> endpoint_of(const std::string& text) {
    if (text.starts_with("unix:")) return world::UnixEndpoint{text.substr(5)};
    std::size_t colon = text.rfind(':');
    std::string host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    auto address = world::IpAddress::parse(host);
    int port = colon == std::string::npos ? 0 : std::atoi(text.c_str() + colon + 1);
    if (!address || port < 1 || port > 65535) {
        return fail("--server " + text + ": write ADDRESS:PORT, as in 127.0.0.1:2525");
    }
    return world::IpEndpoint{*address, static_cast<uint16_t>(port)};
}

int send(cli::SendOptions options, const std::string& server, bool from_stdin) {
    auto endpoint = endpoint_of(server);
    if (!endpoint) return complain(endpoint.error());
    options.server = *endpoint;
    if (from_stdin) {
        options.message.assign(std::istreambuf_iterator<char>(std::cin), {});
    }
    return run([&](world::World& world) { return cli::send(world, options, console()); });
}

// Seconds of "90", "15m", "2h", "3d".
std::optional<int64_t> seconds_of(const std::string& text) {
    std::size_t used = 0;
    int64_t value = 0;
    while (used < text.size() && text[used] >= '0' && text[used] <= '9' && used < 9) {
        value = value * 10 + (text[used++] - '0');
    }
    std::string unit = text.substr(used);
    if (used == 0) return std::nullopt;
    if (unit.empty() || unit == "s") return value;
    if (unit == "m") return value * 60;
    if (unit == "h") return value * 3600;
    if (unit == "d") return value * 86'400;
    return std::nullopt;
}

std::string user_name() {
    const char* sudo = std::getenv("SUDO_USER");
    const char* user = sudo ? sudo : std::getenv("USER");
    return user ? user : "uid " + std::to_string(getuid());
}

// One line of standard input; from a terminal, without showing it.
std::string read_password() {
    termios shown{};
    const bool terminal = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &shown) == 0;
    if (terminal) {
        fmt::print(stderr, "password: ");
        termios hidden = shown;
        hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    std::string line;
    std::getline(std::cin, line);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fmt::print(stderr, "\n");
    }
    return line;
}

// The whole command line. Options of a command live here, so that callbacks can refer to them.
class CommandLine {
public:
    explicit CommandLine(const char* program) { serving_.program = program; }

    int run(int argc, char** argv) {
        app_.set_version_flag("--version", "postrider " + std::string(kVersion));
        app_.require_subcommand(1);
        add_serve();
        add_check();
        add_asking("reload", "make the server read its configuration", cli::reload);
        add_asking("status", "what the server is doing", cli::status);
        add_show(&app_);
        add_queue();
        add_domain();
        add_suppression();
        add_account();
        add_spool();
        add_send();
        CLI11_PARSE(app_, argc, argv);
        return code_;
    }

private:
    using Question = Task<int> (*)(world::World&, cli::OperatorOptions, cli::Console);

    void add_serve() {
        auto* command = app_.add_subcommand("serve", "run the server");
        serving_.config_path = kConfigPath;
        command->add_option("-c,--config", serving_.config_path)->capture_default_str();
        command->add_option("--try", serving_.try_directory,
                            "no configuration: loopback only, everything below this folder");
        command->callback([this] { code_ = serve(serving_); });
    }

    void add_check() {
        auto* command = app_.add_subcommand("check", "look for mistakes in the configuration");
        command->add_option("-c,--config,config", common_.config_path)->capture_default_str();
        command->callback([this] { code_ = check(common_.config_path); });
    }

    void add_asking(const char* name, const char* about, Question question, CLI::App* parent = {}) {
        auto* command = (parent ? parent : &app_)->add_subcommand(name, about);
        common_.add_to(command);
        command->callback([this, question] {
            code_ = ask(common_, [question](world::World& world, cli::OperatorOptions options) {
                return question(world, std::move(options), console());
            });
        });
    }

    void add_show(CLI::App* parent) {
        auto* command =
            parent->add_subcommand("show", "one message: its recipients, and each attempt");
        common_.add_to(command);
        command->add_option("id", id_, "as the log and the 250 have it")->required();
        command->callback([this] {
            code_ = ask(common_, [this](world::World& world, cli::OperatorOptions options) {
                return cli::show(world, std::move(options), id_, console());
            });
        });
    }

    void add_filter(CLI::App* command) {
        command->add_option("--id", filter_.id, "only this message");
        command->add_option("--site", filter_.site, "only what goes to this site");
        command->add_option("--sender", filter_.sender, "only what this account or domain sent");
        command->add_option("--domain", filter_.domain, "only recipients of this domain");
        command->add_option("--recipient", filter_.recipient, "only this recipient");
        command->add_option("--error", filter_.error, "only where the last reason has this text");
        command->add_option("--class", filter_.failure_class,
                            "only where the last failure was of this class, as bad-mailbox, full");
        command->add_option("--state", filter_.state, "scheduled, ready, active or held");
        command->add_option("--older-than", older_than_, "age, as in 90s, 15m, 2h, 3d");
    }

    bool filter_is_sound() {
        if (older_than_.empty()) return true;
        auto seconds = seconds_of(older_than_);
        if (seconds) filter_.older_than_seconds = *seconds;
        if (!seconds) complain({"--older-than " + older_than_ + ": write 90s, 15m, 2h or 3d"});
        return seconds.has_value();
    }

    void add_queue() {
        auto* queue = app_.add_subcommand("queue", "what waits to be delivered");
        queue->require_subcommand(1);
        auto* list = queue->add_subcommand("list", "one line for each entry");
        common_.add_to(list);
        add_filter(list);
        list->add_option("--limit", limit_, "rows at most; how many there are is told all the same")
            ->check(CLI::PositiveNumber);
        list->callback([this] {
            code_ = !filter_is_sound()
                        ? cli::kExitUsage
                        : ask(common_, [this](world::World& world, cli::OperatorOptions options) {
                              return cli::queue_list(world, std::move(options), filter_, limit_,
                                                     console());
                          });
        });
        add_asking("sites", "one line for each site, with its connections", cli::queue_sites,
                   queue);
        add_show(queue);
        add_verb(queue, "retry", "try again now");
        add_verb(queue, "hold", "do not try until released");
        add_verb(queue, "release", "try what was held");
        add_verb(queue, "remove", "forget recipients, telling nobody");
        add_verb(queue, "bounce", "give back to the sender now");
    }

    void add_verb(CLI::App* queue, const char* name, const char* about) {
        auto* command = queue->add_subcommand(name, about);
        common_.add_to(command);
        add_filter(command);
        command->add_flag("--preview", preview_, "only show what would be touched");
        command->add_flag("--all", all_, "without a filter: everything");
        command->callback([this, name] { code_ = run_verb(name); });
    }

    int run_verb(const char* name) {
        if (!filter_is_sound()) return cli::kExitUsage;
        if (filter_.is_empty() && !all_) {
            complain({"say which: a filter (see --help), or --all"});
            return cli::kExitUsage;
        }
        cli::QueueVerb verb{name, preview_, user_name()};
        return ask(common_, [&](world::World& world, cli::OperatorOptions options) {
            return cli::queue_verb(world, std::move(options), filter_, verb, console());
        });
    }

    void add_domain() {
        auto* domain = app_.add_subcommand("domain", "DKIM keys, and the records of a domain");
        domain->require_subcommand(1);
        add_asking("list", "each domain with its keys", cli::domain_list, domain);
        add_of_domain(domain, "add", "make keys, and print the records to publish",
                      cli::domain_add);
        add_of_domain(domain, "check", "compare with what the DNS says now", cli::domain_check);
        auto* rotate = add_of_domain(
            domain, "rotate", "new keys: first make and publish them, then switch, then finish",
            [this](world::World& world, cli::OperatorOptions options, std::string name,
                   cli::Console to) {
                return cli::domain_rotate(world, std::move(options), std::move(name), rotation_,
                                          std::move(to));
            });
        auto* change = rotate->add_flag_callback(
            "--switch", [this] { rotation_.step = "switch"; },
            "the new keys sign, the old ones stay published");
        rotate
            ->add_flag_callback(
                "--finish", [this] { rotation_.step = "finish"; }, "remove the old keys")
            ->excludes(change);
        rotate->add_flag("--force", rotation_.force,
                         "switch although the DNS does not show the new keys");
    }

    CLI::App* add_of_domain(
        CLI::App* parent, const char* name, const char* about,
        std::function<Task<int>(world::World&, cli::OperatorOptions, std::string, cli::Console)>
            question) {
        auto* command = parent->add_subcommand(name, about);
        common_.add_to(command);
        command->add_option("domain", domain_)->required();
        command->callback([this, question] {
            code_ = ask(common_, [&](world::World& world, cli::OperatorOptions options) {
                return question(world, std::move(options), domain_, console());
            });
        });
        return command;
    }

    void add_suppression() {
        auto* suppression =
            app_.add_subcommand("suppression", "recipients that are not written to again");
        suppression->require_subcommand(1);
        auto* list = suppression->add_subcommand("list", "one line for each entry");
        list->add_option("text", suppressed_.address, "only addresses with this text");
        add_suppression_verb(list, "list");
        auto* add = suppression->add_subcommand("add", "do not write to an address");
        add->add_option("address", suppressed_.address)->required();
        add->add_option("--reason", suppressed_.reason, "why, in your words");
        add_suppression_verb(add, "add");
        auto* remove = suppression->add_subcommand("remove", "write to it again");
        remove->add_option("address", suppressed_.address)->required();
        add_suppression_verb(remove, "remove");
        auto* check = suppression->add_subcommand("check", "whether it is written to, and why not");
        check->add_option("address", suppressed_.address)->required();
        add_suppression_verb(check, "check");
    }

    void add_suppression_verb(CLI::App* command, const char* verb) {
        common_.add_to(command);
        command->add_option("--sender-domain", suppressed_.sender_domain,
                            "for senders of this domain (default: for everybody)");
        command->callback([this, verb] {
            suppressed_.operator_name = user_name();
            code_ = ask(common_, [&](world::World& world, cli::OperatorOptions options) {
                return cli::suppression(world, std::move(options), verb, suppressed_, console());
            });
        });
    }

    void add_account() {
        auto* account = app_.add_subcommand("account", "who may send, and their passwords");
        account->require_subcommand(1);
        add_asking("list", "each account with its passwords", cli::account_list, account);
        auto* add = add_of_account(account, "add", "make an account", cli::account_add, true);
        add->add_option("--send-as", account_.send_as,
                        "an address, @domain or *; may be repeated (default: the name)");
        add->add_option("--recipients-max", account_.recipients_max, "of one message");
        add->add_option("--messages-per-hour", account_.messages_per_hour);
        add->add_option("--message-octets-max", account_.message_octets_max);
        auto* password =
            add_of_account(account, "password", "set a password", cli::account_password, true);
        password->add_option("--app", account_.app, "an app password with this label");
        password->add_flag("--remove", account_.remove, "take that app password away");
        add_of_account(account, "remove", "forget an account", cli::account_remove, false);
    }

    CLI::App* add_of_account(CLI::App* parent, const char* name, const char* about,
                             Task<int> (*question)(world::World&, cli::OperatorOptions,
                                                   cli::AccountRequest, cli::Console),
                             bool with_password) {
        auto* command = parent->add_subcommand(name, about);
        common_.add_to(command);
        command->add_option("name", account_.name, "of the account")->required();
        if (with_password) {
            command->add_option("--scheme", account_.scheme, "how the password is stored")
                ->capture_default_str();
        }
        command->callback([this, question, with_password] {
            if (with_password && !account_.remove) account_.password = read_password();
            code_ = ask(common_, [&](world::World& world, cli::OperatorOptions options) {
                return question(world, std::move(options), account_, console());
            });
        });
        return command;
    }

    void add_spool() {
        auto* spool = app_.add_subcommand("spool", "the messages on disk");
        spool->require_subcommand(1);
        auto* command = spool->add_subcommand("check", "read all of it, change nothing");
        common_.add_to(command);
        command->add_option("directory", spool_directory_,
                            "the spool (default: the configuration's)");
        command->callback([this] { code_ = spool_check(common_, spool_directory_); });
    }

    void add_send() {
        auto* command = app_.add_subcommand("send", "send a message and show the dialogue");
        command->add_option("--server", server_, "ADDRESS:PORT or unix:PATH")
            ->capture_default_str();
        command->add_option("--from", sending_.from, "sender; none: the null reverse-path");
        command->add_option("--to", sending_.to, "recipient, may be repeated")->required();
        command->add_option("--helo", sending_.hello_name)->capture_default_str();
        command->add_option("--subject", sending_.subject)->capture_default_str();
        command->add_option("--body", sending_.body);
        command->add_flag("--stdin", from_stdin_, "read the whole message from standard input");
        command->add_flag("--lmtp", sending_.lmtp);
        command->callback([this] { code_ = send(sending_, server_, from_stdin_); });
    }

    CLI::App app_{"Postrider, a mail system."};
    int code_ = cli::kExitOk;
    Common common_;
    ServeOptions serving_;
    cli::QueueFilter filter_;
    cli::SuppressionQuestion suppressed_;
    std::string older_than_;
    uint64_t limit_ = 0;
    bool preview_ = false;
    bool all_ = false;
    std::string id_;
    std::string domain_;
    cli::Rotation rotation_;
    cli::AccountRequest account_;
    std::string spool_directory_;
    cli::SendOptions sending_;
    std::string server_ = "127.0.0.1:2525";
    bool from_stdin_ = false;
};

}  // namespace
}  // namespace postrider

int main(int argc, char** argv) {
    if (auto own = postrider::refuse_lent_rights(); !own) {
        fmt::print(stderr, "postrider: {}\n", own.error().message);
        return postrider::cli::kExitConfig;
    }
    return postrider::CommandLine(argv[0]).run(argc, argv);
}
