// daemon/config_loader.cc: walks the file by the table of keys.
//
// First what is there but should not be (unknown names), then, key by key in the table's order,
// what should be there: read, or replaced by its default, or missed.

#include <fmt/format.h>

#include "daemon/config_check.h"
#include "daemon/config_field.h"
#include "daemon/config_values.h"

namespace postrider::daemon {

namespace {

class Loader {
public:
    Loader(std::string_view file_name, const ReadFile& read_file)
        : errors_(positions_),
          fields_(config_, positions_, errors_, read_file),
          read_file_(read_file) {
        positions_.files.emplace_back(file_name);
        std::size_t slash = file_name.rfind('/');
        if (slash != file_name.npos) {
            fields_.context.directory = std::string(file_name.substr(0, slash + 1));
        }
    }

    Result<Config, std::vector<ConfigError>> load(std::string_view text) {
        toml::table root;
        try {
            root = toml::parse(text, positions_.files[0]);
        } catch (const toml::parse_error& error) {
            errors_.add(FieldReader::position(error.source()), std::string(error.description()));
            return std::unexpected(errors_.take());
        } catch (const TomlFault& fault) {
            errors_.add({},
                        fmt::format("the file is not TOML, in a way that the parser cannot place "
                                    "({})",
                                    fault.what()));
            return std::unexpected(errors_.take());
        }
        find_unknown("", root);
        for (const Section& section : config_sections()) read_section(section, root);
        check_config(config_, positions_, domains_are_whole_, errors_);
        fill_names();
        read_smarthost_password();
        if (errors_.count() > 0) return std::unexpected(errors_.take());
        return std::move(config_);
    }

private:
    void read_section(const Section& section, const toml::table& root) {
        const toml::node* node = section.name.empty() ? &root : root.get(section.name);
        if (section.repeated()) return read_repeated(section, node);
        static const toml::table kNothing;
        const toml::table* table = node ? node->as_table() : nullptr;
        if (node && !table) {
            errors_.add(FieldReader::position(node->source()),
                        fmt::format("{0} must stand once, as [{0}]", section.name));
        }
        if (table && !section.name.empty()) find_unknown(section.name, *table);
        read_keys(section, table ? *table : kNothing, {});
        if (section.name.empty()) fields_.context.data_directory = config_.data_directory;
    }

    void read_repeated(const Section& section, const toml::node* node) {
        const toml::array* array = node ? node->as_array() : nullptr;
        if (!node || (array && array->empty())) {
            if (section.times == Times::AnyNumber) return;
            errors_.add({},
                        fmt::format("there is no [[{}]]: at least one is needed", section.name));
            return;
        }
        if (!array) {
            errors_.add(FieldReader::position(node->source()),
                        fmt::format("write [[{}]]: there may be several", section.name));
            domains_are_whole_ = false;
            return;
        }
        for (const toml::node& item : *array) {
            Position at = FieldReader::position(item.source());
            const toml::table* table = item.as_table();
            if (!table) {
                errors_.add(at, fmt::format("write [[{}]] with its keys below", section.name));
                domains_are_whole_ = false;
                continue;
            }
            find_unknown(section.name, *table);
            if (section.name == "listener") read_listener(section, *table, at);
            if (section.name == "domain") read_domain(section, *table, at);
            if (section.name == "route") read_route(section, *table, at);
            if (section.name == "certificate") read_certificate(section, *table, at);
            if (section.name == "tls_policy") read_tls_policy(section, *table, at);
            if (section.name == "pool") read_pool(section, *table, at);
            if (section.name == "signer") {
                config_.signers.emplace_back();
                read_keys(section, *table, at);
            }
        }
    }

    void read_listener(const Section& section, const toml::table& table, Position at) {
        std::size_t before = errors_.count();
        config_.listeners.emplace_back();
        const toml::node* address = table.get("address");
        positions_.listeners.push_back(address ? FieldReader::position(address->source()) : at);
        read_keys(section, table, at);
        // One without an address would seem to overlap others.
        if (errors_.count() > before) {
            config_.listeners.pop_back();
            positions_.listeners.pop_back();
        }
    }

    void read_domain(const Section& section, const toml::table& table, Position at) {
        std::size_t before = errors_.count();
        config_.routing.domains.emplace_back();
        config_.domain_dmarc.emplace_back();
        positions_.domains.push_back(
            {.self = at, .catch_all = at, .postmaster = at, .deliver_to = at});
        fields_.context.domain = &positions_.domains.back();
        fields_.context.own_domain.clear();
        read_keys(section, table, at);
        fields_.context.domain = nullptr;
        if (errors_.count() > before) domains_are_whole_ = false;
    }

    void read_route(const Section& section, const toml::table& table, Position at) {
        std::size_t before = errors_.count();
        auto place = [&](std::string_view key) {
            const toml::node* node = table.get(key);
            return node ? FieldReader::position(node->source()) : at;
        };
        config_.routing.routes.emplace_back();
        positions_.routes.push_back({.domain = place("domain"), .host = place("host")});
        read_keys(section, table, at);
        // Half a route would be a second mistake.
        if (errors_.count() > before) {
            config_.routing.routes.pop_back();
            positions_.routes.pop_back();
        }
    }

    void read_pool(const Section& section, const toml::table& table, Position at) {
        std::size_t before = errors_.count();
        config_.pools.emplace_back();
        positions_.pools.push_back(at);
        read_keys(section, table, at);
        if (errors_.count() > before) {
            config_.pools.pop_back();
            positions_.pools.pop_back();
        }
    }

    void read_certificate(const Section& section, const toml::table& table, Position at) {
        config_.certificates.emplace_back();
        read_keys(section, table, at);
    }

    void read_tls_policy(const Section& section, const toml::table& table, Position at) {
        config_.tls_policies.emplace_back();
        read_keys(section, table, at);
    }

    void read_smarthost_password() {
        RelayConfig& relay = config_.relay;
        const Key* key = find_key("relay", "smarthost_password_file");
        if (relay.smarthost_user.empty() && relay.smarthost_password_file.empty()) return;
        if (relay.smarthost_user.empty() || relay.smarthost_password_file.empty() ||
            relay.smarthost.empty()) {
            errors_.add(positions_.keys[key],
                        "smarthost, smarthost_user and smarthost_password_file belong together");
            return;
        }
        Result<std::string> text = read_file_(relay.smarthost_password_file);
        if (!text) return errors_.add(positions_.keys[key], text.error().message);
        relay.smarthost_password = text->substr(0, text->find_first_of("\r\n"));
        if (relay.smarthost_password.empty()) {
            errors_.add(positions_.keys[key], "the file's first line is empty");
        }
    }

    // What follows another key where it is not set.
    void fill_names() {
        config_.routing.hostname = config_.hostname;
        RelayConfig& relay = config_.relay;
        if (relay.hello_name.empty()) relay.hello_name = config_.hostname;
        for (PoolConfig& pool : config_.pools) {
            if (pool.hello_name.empty()) pool.hello_name = relay.hello_name;
            if (!pool.source_v4) pool.source_v4 = relay.source_v4;
            if (!pool.source_v6) pool.source_v6 = relay.source_v6;
        }
    }

    void read_keys(const Section& section, const toml::table& table, Position section_at) {
        for (const Key& key : config_keys()) {
            if (key.section != section.name) continue;
            std::size_t before = errors_.count();
            const toml::node* node = table.get(key.name);
            if (node) {
                Position at = FieldReader::position(node->source());
                if (!section.repeated()) positions_.keys[&key] = at;
                fields_.read(key, *node, at);
            } else if (key.required()) {
                errors_.add(section_at, missing(section, key));
            }
            // Also after a wrong value, so that one mistake is not told as two.
            if (!node || errors_.count() > before) read_fallback(key, section_at);
            if (key.section == "domain" && key.type == KeyType::Domain) {
                fields_.context.own_domain = config_.routing.domains.back().name;
            }
        }
    }

    void read_fallback(const Key& key, Position section_at) {
        if (key.fallback.empty()) return;
        toml::table value = toml::parse(fmt::format("value = {}", key.fallback));  // ours: no error
        fields_.read(key, *value.get("value"), section_at);
    }

    static std::string missing(const Section& section, const Key& key) {
        std::string where = section.name.empty() ? std::string("the configuration")
                                                 : fmt::format("[[{}]]", section.name);
        return fmt::format("{} needs {}: write {} = {}", where, key.name, key.name, key.example);
    }

    void find_unknown(std::string_view section, const toml::table& table) {
        for (const auto& [name, node] : table) {
            if (find_key(section, name.str())) continue;
            if (section.empty() && !name.str().empty() && find_section(name.str())) continue;
            errors_.add(FieldReader::position(name.source()), unknown(section, name.str(), node));
        }
    }

    static std::string unknown(std::string_view section, std::string_view name,
                               const toml::node& node) {
        bool is_section = section.empty() && (node.is_table() || node.is_array_of_tables());
        std::string_view kind = is_section ? "section" : "key";
        std::vector<std::string_view> known;
        for (const Key& key : config_keys()) {
            if (key.section == section) known.push_back(key.name);
        }
        if (section.empty()) {
            for (const Section& other : config_sections()) known.push_back(other.name);
        }
        std::string_view near = nearest(name, known);
        if (!near.empty()) {
            return fmt::format("unknown {} '{}', did you mean '{}'?", kind, name, near);
        }
        for (const Key& key : config_keys()) {
            if (key.name != name) continue;
            return fmt::format("unknown key '{}' here: it belongs {}", name,
                               key.section.empty()
                                   ? "at the top of the file, before any section"
                                   : "into " + find_section(key.section)->heading());
        }
        return fmt::format("unknown {} '{}'", kind, name);
    }

    Config config_;
    Positions positions_;
    ConfigErrors errors_;
    FieldReader fields_;
    const ReadFile& read_file_;
    bool domains_are_whole_ = true;
};

}  // namespace

Result<Config, std::vector<ConfigError>> load(std::string_view text, std::string_view file_name,
                                              const ReadFile& read_file) {
    return Loader(file_name, read_file).load(text);
}

}  // namespace postrider::daemon
