#include "daemon/domain_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "mailauth/dkim/key_record.h"
#include "mailauth/domain.h"

namespace postrider::daemon {

namespace {

using mailauth::dkim::PrivateKey;
using State = DomainKey::State;

constexpr std::size_t kPemOctetsMax = 16 * 1024;
constexpr std::size_t kSelectorOctetsMax = 63;
constexpr std::string_view kTemporaryEnding = ".tmp";

std::string_view ending_of(State state) {
    switch (state) {
        case State::Signs:
            return ".pem";
        case State::Next:
            return ".next";
        case State::Old:
            return ".old";
    }
    return "";
}

bool is_selector(std::string_view text) {
    return !text.empty() && text.size() <= kSelectorOctetsMax &&
           std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                      (c >= 'A' && c <= 'Z');
           });
}

struct NamedFile {
    std::string selector;
    State state = State::Signs;
};

std::optional<NamedFile> file_named(std::string_view name) {
    for (State state : {State::Signs, State::Next, State::Old}) {
        std::string_view ending = ending_of(state);
        if (!name.ends_with(ending)) continue;
        name.remove_suffix(ending.size());
        if (is_selector(name)) return NamedFile{std::string(name), state};
    }
    return std::nullopt;
}

struct MadeKeys {
    Result<PrivateKey> rsa, ed25519;
};

// On a worker: an RSA key takes up to seconds.
Task<MadeKeys> make_keys() {
    co_return MadeKeys{PrivateKey::generate_rsa(), PrivateKey::generate_ed25519()};
}

}  // namespace

std::string_view name(State state) {
    switch (state) {
        case State::Signs:
            return "signs";
        case State::Next:
            return "next";
        case State::Old:
            return "old";
    }
    return "";
}

DomainKeys::DomainKeys(world::World& world, std::string directory)
    : world_(world),
      directory_(std::move(directory)),
      ring_(std::make_shared<const seal::KeyRing>()) {}

Task<void> DomainKeys::load() {
    uint64_t number = ++loads_;
    Loaded loaded = co_await read_all();
    if (number != loads_) co_return;  // one that began later has read what is newer
    keys_ = std::move(loaded.keys);
    ring_.store(std::move(loaded.ring));
}

Task<DomainKeys::Loaded> DomainKeys::read_all() {
    Loaded loaded{{}, std::make_shared<seal::KeyRing>()};
    auto entries = co_await world_.disk.list(directory_);
    if (!entries) {
        if (entries.error().kind != world::DiskError::Kind::NotFound) {
            world_.log.write(Event::SigningKeyUnusable,
                             {{"path", directory_}, {"reason", entries.error().message}});
        }
        co_return loaded;
    }
    std::ranges::sort(*entries, {}, &world::DirectoryEntry::name);
    std::size_t domains = 0;
    for (const world::DirectoryEntry& entry : *entries) {
        auto domain = mailauth::a_labels(entry.name);
        if (entry.type != world::DirectoryEntry::Type::Directory || domain != entry.name) continue;
        if (domains++ == kDomainsMax) break;
        co_await read_domain(loaded, entry.name);
    }
    co_return loaded;
}

Task<void> DomainKeys::read_domain(Loaded& loaded, std::string domain) {
    auto files = co_await world_.disk.list(directory_ + "/" + domain);
    if (!files) co_return;
    std::ranges::sort(*files, {}, &world::DirectoryEntry::name);
    std::size_t count = 0;
    for (const world::DirectoryEntry& file : *files) {
        auto named = file_named(file.name);
        if (!named || count == kKeysMax) continue;
        std::string path = directory_ + "/" + domain + "/" + file.name;
        auto pem = co_await read_file(path);
        auto key =
            pem ? PrivateKey::from_pem(*pem) : Result<PrivateKey>(std::unexpected(pem.error()));
        if (!key) {
            world_.log.write(Event::SigningKeyUnusable,
                             {{"path", path}, {"reason", key.error().message}});
            continue;
        }
        count++;
        loaded.keys.push_back({.domain = domain,
                               .selector = named->selector,
                               .state = named->state,
                               .algorithm = std::string(mailauth::dkim::name(key->type())),
                               .bits = key->bits(),
                               .record = mailauth::dkim::key_record_text(*key)});
        if (named->state == State::Signs) {
            loaded.ring->add({domain, named->selector, std::move(*key), std::nullopt});
        }
    }
}

Task<Result<std::string>> DomainKeys::read_file(std::string path) {
    auto file = co_await world_.disk.open(std::move(path), world::OpenMode::Read);
    if (!file) co_return fail(file.error().message);
    std::string text(kPemOctetsMax, '\0');
    auto got = co_await (*file)->read_at(0, std::span(text));
    if (!got) co_return fail(got.error().message);
    if (*got == text.size()) co_return fail("it is too large for a key");
    text.resize(*got);
    co_return text;
}

std::vector<DomainKey> DomainKeys::keys_of(std::string_view domain) const {
    std::vector<DomainKey> out;
    std::ranges::copy_if(keys_, std::back_inserter(out),
                         [&](const DomainKey& key) { return key.domain == domain; });
    return out;
}

// "r20261122": the kind and the day; on the same day again "r20261122b".
std::string DomainKeys::free_selector(std::string_view domain, char kind) const {
    auto day = std::chrono::floor<std::chrono::days>(
        std::chrono::sys_seconds(std::chrono::seconds(world_.clock.wall().seconds())));
    std::chrono::year_month_day date{day};
    std::string plain =
        fmt::format("{}{:04}{:02}{:02}", kind, static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
    auto is_taken = [&](const std::string& selector) {
        return std::ranges::any_of(keys_, [&](const DomainKey& key) {
            return key.domain == domain && key.selector == selector;
        });
    };
    std::string selector = plain;
    for (char more = 'b'; is_taken(selector) && more <= 'z'; more++) selector = plain + more;
    return selector;
}

Task<Status<Error>> DomainKeys::make(std::string domain, State state) {
    if (std::exchange(changing_, true)) co_return fail("keys are being changed; try again soon");
    Status<Error> done;
    if (keys_of(domain).size() + 2 > kKeysMax) {
        done = fail(fmt::format("{} has {} keys already; remove old ones first", domain,
                                keys_of(domain).size()));
    }
    if (done) {
        MadeKeys made = co_await world_.worker.run(make_keys());
        std::string ending(ending_of(state));
        if (!made.rsa) done = std::unexpected(made.rsa.error());
        if (!made.ed25519) done = std::unexpected(made.ed25519.error());
        if (done) {
            done =
                co_await write_key(domain, free_selector(domain, 'r'), ending, made.rsa->to_pem());
        }
        if (done) {
            done = co_await write_key(domain, free_selector(domain, 'e'), ending,
                                      made.ed25519->to_pem());
        }
        if (done) co_await load();
    }
    changing_ = false;
    co_return done;
}

// Whole or not at all: written aside, synced, then named.
Task<Status<Error>> DomainKeys::write_key(std::string domain, std::string selector,
                                          std::string ending, std::string pem) {
    world::Disk& disk = world_.disk;
    std::string folder = directory_ + "/" + domain;
    auto made = co_await disk.make_directories(folder);
    if (!made) co_return fail(made.error().message);
    std::string aside = path_of(domain, selector, kTemporaryEnding);
    (void)co_await disk.remove(aside);  // of a crash
    auto file = co_await disk.open(aside, world::OpenMode::CreateNew);
    if (!file) co_return fail(file.error().message);
    std::array<std::string_view, 1> pieces{pem};
    auto done = co_await (*file)->write_at(0, pieces);
    if (done) done = co_await (*file)->sync();
    file->reset();
    if (done) done = co_await disk.rename(aside, path_of(domain, selector, ending));
    if (done) done = co_await disk.sync_directory(folder);
    if (!done) co_return fail(done.error().message);
    co_return Status<Error>{};
}

Task<Status<Error>> DomainKeys::switch_to_next(std::string domain,
                                               std::vector<std::string> staying) {
    if (std::exchange(changing_, true)) co_return fail("keys are being changed; try again soon");
    Status<Error> done;
    // First the new ones: stopped half-way, old and new sign.
    for (State from : {State::Next, State::Signs}) {
        State to = from == State::Next ? State::Signs : State::Old;
        for (const DomainKey& key : keys_of(domain)) {
            if (key.state != from || !done) continue;
            std::string record = mailauth::ascii_lower(key.record_name());
            bool stays = std::ranges::find(staying, record) != staying.end();
            if (from == State::Signs && stays) continue;
            auto moved = co_await world_.disk.rename(path_of(domain, key.selector, ending_of(from)),
                                                     path_of(domain, key.selector, ending_of(to)));
            if (!moved) done = fail(moved.error().message);
        }
    }
    auto synced = co_await world_.disk.sync_directory(directory_ + "/" + domain);
    if (done && !synced) done = fail(synced.error().message);
    co_await load();
    changing_ = false;
    co_return done;
}

Task<Status<Error>> DomainKeys::remove_old(std::string domain) {
    if (std::exchange(changing_, true)) co_return fail("keys are being changed; try again soon");
    Status<Error> done;
    for (const DomainKey& key : keys_of(domain)) {
        if (key.state != State::Old || !done) continue;
        auto removed =
            co_await world_.disk.remove(path_of(domain, key.selector, ending_of(key.state)));
        if (!removed) done = fail(removed.error().message);
    }
    auto synced = co_await world_.disk.sync_directory(directory_ + "/" + domain);
    if (done && !synced) done = fail(synced.error().message);
    co_await load();
    changing_ = false;
    co_return done;
}

std::string DomainKeys::path_of(const std::string& domain, const std::string& selector,
                                std::string_view ending) const {
    return fmt::format("{}/{}/{}{}", directory_, domain, selector, ending);
}

}  // namespace postrider::daemon
