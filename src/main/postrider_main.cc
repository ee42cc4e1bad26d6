// The program: reads the command line and does what it says.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <iterator>

#include "cli/operator.h"
#include "cli/send.h"
#include "cli/spool_check.h"
#include "main/config_file.h"
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
    world::real::RealWorld real({.shards = 1, .workers = 1}, log);
    world::World world = real.world();
    int code = cli::kExitFailed;
    auto body = [](world::World& w, std::function<Task<int>(world::World&)>& work, int& out,
                   world::real::RealWorld& whole) -> Task<void> {
        out = co_await work(w);
        whole.stop();
    };
    real.executor().post_to(
        0, [&] { world.executor.spawn(body(world, command, code, real)); });
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

int main_of(int argc, char** argv) {
    CLI::App app{"Postrider, a mail system."};
    app.set_version_flag("--version", "postrider " + std::string(kVersion));
    app.require_subcommand(1);
    int code = cli::kExitOk;
    Common common;

    ServeOptions serving{.config_path = kConfigPath, .program = argv[0]};
    auto* serve_command = app.add_subcommand("serve", "run the server");
    serve_command->add_option("-c,--config", serving.config_path)->capture_default_str();
    serve_command->add_option("--try", serving.try_directory,
                              "no configuration: loopback only, everything below this folder");
    serve_command->callback([&] { code = serve(serving); });

    auto* check_command = app.add_subcommand("check", "look for mistakes in the configuration");
    check_command->add_option("-c,--config,config", common.config_path)->capture_default_str();
    check_command->callback([&] { code = check(common.config_path); });

    auto* reload_command = app.add_subcommand("reload", "make the server read its configuration");
    common.add_to(reload_command);
    reload_command->callback([&] {
        code = ask(common, [](world::World& world, cli::OperatorOptions options) {
            return cli::reload(world, std::move(options), console());
        });
    });

    auto* status_command = app.add_subcommand("status", "what the server is doing");
    common.add_to(status_command);
    status_command->callback([&] {
        code = ask(common, [](world::World& world, cli::OperatorOptions options) {
            return cli::status(world, std::move(options), console());
        });
    });

    auto* queue = app.add_subcommand("queue", "what waits to be delivered");
    queue->require_subcommand(1);
    cli::QueueFilter filter;
    auto* queue_list = queue->add_subcommand("list", "one line for each entry");
    common.add_to(queue_list);
    queue_list->add_option("--site", filter.site, "only what goes to this site");
    queue_list->add_option("--sender", filter.sender, "only what this account or domain sent");
    queue_list->add_option("--id", filter.id, "only this message");
    queue_list->callback([&] {
        code = ask(common, [&](world::World& world, cli::OperatorOptions options) {
            return cli::queue_list(world, std::move(options), filter, console());
        });
    });

    auto* spool = app.add_subcommand("spool", "the messages on disk");
    spool->require_subcommand(1);
    std::string spool_directory;
    auto* spool_check_command = spool->add_subcommand("check", "read all of it, change nothing");
    common.add_to(spool_check_command);
    spool_check_command->add_option("directory", spool_directory,
                                    "the spool (default: the configuration's)");
    spool_check_command->callback([&] { code = spool_check(common, spool_directory); });

    cli::SendOptions sending;
    std::string server = "127.0.0.1:2525";
    bool from_stdin = false;
    auto* send_command = app.add_subcommand("send", "send a message and show the dialogue");
    send_command->add_option("--server", server, "ADDRESS:PORT or unix:PATH")
        ->capture_default_str();
    send_command->add_option("--from", sending.from, "sender; none: the null reverse-path");
    send_command->add_option("--to", sending.to, "recipient, may be repeated")->required();
    send_command->add_option("--helo", sending.hello_name)->capture_default_str();
    send_command->add_option("--subject", sending.subject)->capture_default_str();
    send_command->add_option("--body", sending.body);
    send_command->add_flag("--stdin", from_stdin, "read the whole message from standard input");
    send_command->add_flag("--lmtp", sending.lmtp);
    send_command->callback([&] { code = send(sending, server, from_stdin); });

    CLI11_PARSE(app, argc, argv);
    return code;
}

}  // namespace
}  // namespace postrider

int main(int argc, char** argv) { return postrider::main_of(argc, argv); }
