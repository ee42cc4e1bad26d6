// daemon/config_field.h: one value of the file into one field of the Config.
//
// Includes toml++; only the loader includes this.
//
// Threads: one load, one thread.

#pragma once

#include "daemon/config_positions.h"
#include "daemon/toml.h"

namespace postrider::daemon {

class FieldReader {
public:
    // What is known about the place of the value.
    struct Context {
        std::string directory;              // of the configuration file, with its final slash
        std::string data_directory;         // stands for {data}
        std::string own_domain;             // inside [[domain]]; empty while its name is wrong
        DomainPositions* domain = nullptr;  // inside [[domain]]
    };

    FieldReader(Config& config, Positions& positions, ConfigErrors& errors,
                const ReadFile& read_file)
        : config_(config), positions_(positions), errors_(errors), read_file_(read_file) {}

    Context context;

    // Checks the value and puts it into its field; complains at `at` or inside the value.
    void read(const Key& key, const toml::node& node, Position at);

    static Position position(const toml::source_region& region) {
        return {0, region.begin.line, region.begin.column};
    }

private:
    void refuse(const Key& key, Position at, std::string_view found);
    void read_number(const Key& key, const toml::node& node, Position at);
    void read_text(const Key& key, const std::string& text, Position at);
    void read_path(const Key& key, std::string path, Position at);
    void read_ip(const Key& key, const std::string& text, Position at);
    void read_choice(const Key& key, const std::string& text, Position at);
    // Each text of an array, to `take` with its place.
    template <typename Take>
    void read_array(const Key& key, const toml::node& node, Position at, Take take);
    void read_networks(const Key& key, const toml::node& node, Position at);
    void read_domains(const Key& key, const toml::node& node, Position at);
    void read_texts(const Key& key, const toml::node& node, Position at);
    void read_senders(const Key& key, const toml::node& node, Position at);
    void read_servers(const Key& key, const toml::node& node, Position at);
    void read_address(const Key& key, const std::string& text, Position at);
    void read_addresses(const Key& key, const toml::node& node, Position at);
    void read_address_file(const Key& key, const std::string& path, Position at);
    void read_aliases(const Key& key, const toml::node& node, Position at);

    // An address, with the own domain where it has none.
    std::optional<Mailbox> address(std::string_view text, Position at);
    std::string resolved(const std::string& path) const;
    template <typename T>
    T& field(const Key& key) {
        return *std::get<T*>(key.field(config_));
    }
    template <typename T>
    void store(const Key& key, Result<T> value, Position at) {
        if (value) {
            field<T>(key) = std::move(*value);
        } else {
            errors_.add(at, std::move(value.error().message));
        }
    }

    Config& config_;
    Positions& positions_;
    ConfigErrors& errors_;
    const ReadFile& read_file_;
};

}  // namespace postrider::daemon
