#include "sim/sim_tls.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <vector>

#include "sim/host_state.h"
#include "world/tls_stream.h"

namespace postrider::sim {

namespace {

using world::TlsProgress;
using world::TlsStep;
using world::TlsWires;

// A record: type, two octets of length, octets. None of the types is text.
enum Type : char {
    kAlert = 0x15,  // "close" or a reason
    kHandshake = 0x16,
    kData = 0x17
};
constexpr std::size_t kHeadOctets = 3;
constexpr std::size_t kRecordOctets = 4096;
constexpr char kMask = '\x5a';

struct Certificate {
    std::vector<std::string> names;
    std::string root;
    bool expired = false;

    // Why it is of no use to a client that knows these roots and wants this name; empty = good.
    std::string fault(const std::vector<std::string>& roots, const world::TlsPeer& peer) const {
        if (expired) return "certificate has expired";
        if (std::ranges::find(roots, root) == roots.end()) return "unable to get local issuer";
        bool bears_one =
            peer.names.empty()
                ? peer.name.empty() || bears(peer.name)
                : std::ranges::any_of(peer.names, [&](auto& name) { return bears_or_below(name); });
        if (!bears_one) return "hostname mismatch";
        return {};
    }
    bool bears_or_below(const std::string& name) const {
        if (!name.starts_with('.')) return bears(name);
        return std::ranges::any_of(names,
                                   [&](const std::string& own) { return own.ends_with(name); });
    }
    bool bears(const std::string& name) const {
        return std::ranges::any_of(names, [&](const std::string& own) {
            return own == name || (own.starts_with("*.") && name.find('.') != std::string::npos &&
                                   own.substr(1) == name.substr(name.find('.')));
        });
    }
};

std::vector<std::string> split(std::string_view text, char at) {
    std::vector<std::string> out;
    std::istringstream in{std::string(text)};
    for (std::string word; std::getline(in, word, at);) {
        if (!word.empty()) out.push_back(word);
    }
    return out;
}

std::optional<Certificate> certificate_of(std::string_view text) {
    if (!text.starts_with("sim ")) return std::nullopt;
    Certificate out;
    for (const std::string& word : split(text.substr(4), ' ')) {
        if (word.starts_with("names=")) out.names = split(word.substr(6), ',');
        if (word.starts_with("root=")) out.root = word.substr(5);
        if (word == "expired=yes") out.expired = true;
    }
    return out;
}

class ServerContext : public world::TlsServerContext {
public:
    std::span<const world::TlsCertificateFacts> certificates() const override { return facts; }
    const std::string& text_for(const std::string& name) const {
        for (const std::string& text : texts) {
            if (certificate_of(text)->bears(name)) return text;
        }
        return texts.front();
    }

    std::vector<std::string> texts;
    std::vector<world::TlsCertificateFacts> facts;
};

class ClientContext : public world::TlsClientContext {
public:
    std::vector<std::string> roots;
};

world::TlsError protocol_error(std::string words) {
    return {world::TlsError::Kind::Protocol, std::move(words), {}};
}

// Records in and out, the same for both sides.
class Toy : public world::TlsEngine {
public:
    TlsProgress read(TlsWires& wires, std::span<char> into) override {
        TlsStep step = peek(wires);
        if (step != TlsStep::Done) return {step, 0};
        std::size_t octets = std::min(into.size(), data_.size());
        std::copy_n(data_.data(), octets, into.data());
        data_.erase(0, octets);
        return {TlsStep::Done, octets};
    }

    TlsStep peek(TlsWires& wires) override {
        while (data_.empty()) {
            if (ended_) return TlsStep::Ended;
            if (!error_.message.empty()) return TlsStep::Failed;
            auto record = next_record(wires);
            if (!record) return no_record(wires);
            if (record->type == kData) {
                data_ = std::move(record->octets);
                for (char& octet : data_) octet = static_cast<char>(octet ^ kMask);
            } else if (record->type == kAlert && record->octets == "close") {
                ended_ = true;
            } else {
                error_ = protocol_error("unexpected message");
            }
        }
        return TlsStep::Done;
    }

    TlsProgress write(TlsWires& wires, std::string_view from) override {
        std::size_t room = world::TlsBlock::kOctets - wires.out_octets;
        if (room <= kHeadOctets) return {TlsStep::WantRoom, 0};
        std::size_t octets = std::min({from.size(), kRecordOctets, room - kHeadOctets});
        std::string masked(from.substr(0, octets));
        for (char& octet : masked) octet = static_cast<char>(octet ^ kMask);
        put_record(wires, kData, masked);
        return {TlsStep::Done, octets};
    }

    void say_end(TlsWires& wires) override { put_record(wires, kAlert, "close"); }
    world::TlsError error() const override { return error_; }
    world::TlsFacts facts() const override { return facts_; }
    std::optional<std::string> channel_binding(world::ChannelBinding kind) const override {
        if (kind == world::ChannelBinding::TlsUnique) return std::nullopt;
        return fmt::format("sim {} {}", static_cast<int>(kind), connection_);
    }

protected:
    struct Record {
        Type type;
        std::string octets;
    };

    // Gathers a record over any cut; what is no record is an error.
    std::optional<Record> next_record(TlsWires& wires) {
        while (!wires.in.empty()) {
            std::size_t want = kHeadOctets;
            if (gathered_.size() >= kHeadOctets) {
                want +=
                    static_cast<uint8_t>(gathered_[1]) * 256U + static_cast<uint8_t>(gathered_[2]);
            }
            std::size_t take = std::min(want - gathered_.size(), wires.in.size());
            gathered_ += wires.in.substr(0, take);
            wires.in.remove_prefix(take);
            if (gathered_[0] < kAlert || gathered_[0] > kData) {
                error_ = protocol_error("wrong version number");
                return std::nullopt;
            }
            bool is_whole = gathered_.size() == want && want > kHeadOctets;
            if (!is_whole) continue;
            Record record{static_cast<Type>(gathered_[0]), gathered_.substr(kHeadOctets)};
            gathered_.clear();
            return record;
        }
        return std::nullopt;
    }

    TlsStep no_record(const TlsWires& wires) {
        if (!error_.message.empty()) return TlsStep::Failed;
        if (!wires.in_ended) return TlsStep::WantInput;
        error_ = protocol_error("unexpected eof while reading");
        return TlsStep::Failed;
    }

    // REQUIRES: room for it.
    static void put_record(TlsWires& wires, Type type, std::string_view octets) {
        if (wires.out_octets + kHeadOctets + octets.size() > world::TlsBlock::kOctets) return;
        std::array<char, kHeadOctets> head{type, static_cast<char>(octets.size() / 256),
                                           static_cast<char>(octets.size() % 256)};
        wires.put({head.data(), head.size()});
        wires.put(octets);
    }

    TlsStep fail_with(TlsWires& wires, world::TlsError error) {
        put_record(wires, kAlert, error.message);
        error.offered = std::move(error_.offered);
        error_ = std::move(error);
        return TlsStep::Failed;
    }

    void agree(std::string connection) {
        facts_.version = "TLSv1.3";
        facts_.cipher = "TLS_SIM_TOY";
        facts_.cipher_bits = 8;
        connection_ = std::move(connection);
    }

    world::TlsFacts facts_;
    world::TlsError error_;

private:
    std::string gathered_;  // of a record that is not whole
    std::string data_;
    std::string connection_;
    bool ended_ = false;
};

class ToyServer : public Toy {
public:
    ToyServer(std::shared_ptr<const ServerContext> context, TlsOutcome outcome, std::string number)
        : context_(std::move(context)), outcome_(outcome), number_(std::move(number)) {}

    TlsStep handshake(TlsWires& wires) override {
        auto record = next_record(wires);
        if (!record) return no_record(wires);
        if (record->type == kAlert) {
            error_ = protocol_error("alert " + record->octets);
            return TlsStep::Failed;
        }
        if (record->octets.starts_with("finished")) return TlsStep::Done;
        if (!record->octets.starts_with("hello ")) {
            return fail_with(wires, protocol_error("unexpected message"));
        }
        facts_.server_name = record->octets.substr(6);
        error_.offered = "TLSv1.3; name " + facts_.server_name;
        return answer(wires);
    }

private:
    TlsStep answer(TlsWires& wires) {
        std::string certificate = context_->text_for(facts_.server_name);
        switch (outcome_) {
            case TlsOutcome::Hangs:
                return TlsStep::WantInput;
            case TlsOutcome::Refused:
                return fail_with(wires, protocol_error("internal error"));
            case TlsOutcome::BreaksOff:
                error_.message = "broken off";
                return TlsStep::Failed;
            case TlsOutcome::WrongCertificate:
                certificate = sim_certificate("somebody.else.example").chain_pem;
                break;
            case TlsOutcome::Expired:
                certificate += " expired=yes";
                break;
            case TlsOutcome::Works:
                break;
        }
        agree(number_);
        put_record(wires, kHandshake, "server " + number_ + "\n" + certificate);
        return TlsStep::WantInput;
    }

    std::shared_ptr<const ServerContext> context_;
    TlsOutcome outcome_;
    std::string number_;
};

class ToyClient : public Toy {
public:
    ToyClient(std::shared_ptr<const ClientContext> context, world::TlsPeer peer)
        : context_(std::move(context)), peer_(std::move(peer)) {
        facts_.server_name = peer_.name;
    }

    TlsStep handshake(TlsWires& wires) override {
        if (!std::exchange(said_hello_, true)) {
            put_record(wires, kHandshake, "hello " + peer_.name);
            return TlsStep::WantInput;
        }
        auto record = next_record(wires);
        if (!record) return no_record(wires);
        if (record->type != kHandshake || !record->octets.starts_with("server ")) {
            error_ = protocol_error("alert " + record->octets);
            return TlsStep::Failed;
        }
        std::size_t line = record->octets.find('\n');
        auto certificate = certificate_of(std::string_view(record->octets).substr(line + 1));
        if (!certificate) return fail_with(wires, protocol_error("no certificate"));
        facts_.not_verified = certificate->fault(context_->roots, peer_);
        facts_.peer_names = certificate->names;
        facts_.peer = facts_.not_verified.empty() ? world::TlsFacts::Peer::Verified
                                                  : world::TlsFacts::Peer::NotVerified;
        if (peer_.check == world::TlsPeer::Check::Name && !facts_.not_verified.empty()) {
            return fail_with(wires, {world::TlsError::Kind::Certificate,
                                     "certificate verify failed: " + facts_.not_verified,
                                     {}});
        }
        agree(record->octets.substr(7, line - 7));
        put_record(wires, kHandshake, "finished");
        return TlsStep::Done;
    }

private:
    std::shared_ptr<const ClientContext> context_;
    world::TlsPeer peer_;
    bool said_hello_ = false;
};

}  // namespace

world::TlsCertificate sim_certificate(std::string_view names, std::string_view root) {
    return {"toy", fmt::format("sim names={} root={}", names, root), "key"};
}

Result<std::shared_ptr<const world::TlsServerContext>, world::TlsError> SimTls::server_context(
    world::TlsServerOptions options) {
    auto made = std::make_shared<ServerContext>();
    for (const world::TlsCertificate& one : options.certificates) {
        auto certificate = certificate_of(one.chain_pem);
        if (!certificate) {
            return std::unexpected(world::TlsError{
                world::TlsError::Kind::Settings, one.name + ": no certificate can be read", {}});
        }
        made->texts.push_back(one.chain_pem);
        made->facts.push_back({.name = one.name,
                               .subject = one.chain_pem,
                               .names = certificate->names,
                               .not_before = {},
                               .not_after = {INT64_MAX}});
    }
    if (made->texts.empty()) {
        return std::unexpected(
            world::TlsError{world::TlsError::Kind::Settings, "TLS needs a certificate", {}});
    }
    return made;
}

Result<std::shared_ptr<const world::TlsClientContext>, world::TlsError> SimTls::client_context(
    world::TlsClientOptions options) {
    auto made = std::make_shared<ClientContext>();
    made->roots = split(options.roots_pem, ' ');
    if (options.system_roots) made->roots.emplace_back("world");
    return made;
}

Task<Result<std::unique_ptr<world::TlsStream>, world::TlsError>> SimTls::accept(
    std::shared_ptr<world::Stream> stream, std::shared_ptr<const world::TlsServerContext> context,
    Deadline deadline) {
    auto engine = std::make_unique<ToyServer>(
        std::static_pointer_cast<const ServerContext>(context),
        outcome ? outcome() : TlsOutcome::Works,
        fmt::format("{}.{}.{}", host_.name, host_.lives, ++handshakes_));
    return world::tls_handshake(std::move(stream), std::move(engine), host_.executor, host_.clock,
                                deadline);
}

Task<Result<std::unique_ptr<world::TlsStream>, world::TlsError>> SimTls::connect(
    std::shared_ptr<world::Stream> stream, std::shared_ptr<const world::TlsClientContext> context,
    world::TlsPeer peer, Deadline deadline) {
    auto engine = std::make_unique<ToyClient>(
        std::static_pointer_cast<const ClientContext>(context), std::move(peer));
    return world::tls_handshake(std::move(stream), std::move(engine), host_.executor, host_.clock,
                                deadline);
}

}  // namespace postrider::sim
