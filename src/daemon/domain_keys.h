// daemon/domain_keys.h: the DKIM keys of our domains: files, made and changed by the operator.
//
// The problem: a key has a life. It is made, published, used, and must stay published for a while
// after it signs no more, since mail on its way bears its signatures. Who changes keys must never
// have to stop signing.
//
// Keys lie in DIRECTORY/DOMAIN/SELECTOR with an ending that says what they do:
//   .pem   signs; several may (rsa and ed25519)
//   .next  made by rotate(), not published everywhere yet: does not sign
//   .old   signed until lately: only its record is still wanted
// A change of state is a rename. Files have mode 0600 and belong to the server's user.
//
// Promise
//   1. ring() is the keys that sign, whole: it changes in one step.
//   2. A file that cannot be used is told and left out; it never keeps mail from flowing.
//   3. At most kDomainsMax domains with kKeysMax keys each are read.
//
// Threads: ring() from any shard, all else from shard 0.

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "seal/signing.h"
#include "world/world.h"

namespace postrider::daemon {

struct DomainKey {
    enum class State : uint8_t {
        Signs,
        Next,
        Old
    };
    std::string domain;  // A-labels
    std::string selector;
    State state = State::Signs;
    std::string algorithm;  // "rsa", "ed25519"
    unsigned bits = 0;
    std::string record;  // the TXT at SELECTOR._domainkey.DOMAIN

    std::string record_name() const { return selector + "._domainkey." + domain; }
};
std::string_view name(DomainKey::State state);  // "signs", "next", "old"

class DomainKeys {
public:
    static constexpr std::size_t kDomainsMax = 10'000;
    static constexpr std::size_t kKeysMax = 10;

    // REQUIRES: world outlives it.
    DomainKeys(world::World& world, std::string directory);

    std::shared_ptr<const seal::KeyRing> ring() const { return ring_.load(); }

    // Reads all keys anew. A folder that is not there holds none.
    Task<void> load();

    // Of one domain, or of all; the domain in A-labels.
    std::vector<DomainKey> keys_of(std::string_view domain) const;
    const std::vector<DomainKey>& keys() const { return keys_; }

    // Makes an rsa and an ed25519 key in that state, Signs or Next. REQUIRES: A-labels.
    Task<Status<Error>> make(std::string domain, DomainKey::State state);
    // The next keys sign from now on, and those that did are old, but for those of these record
    // names, which go on.
    Task<Status<Error>> switch_to_next(std::string domain, std::vector<std::string> staying);
    // The files of old keys are removed.
    Task<Status<Error>> remove_old(std::string domain);

private:
    struct Loaded {
        std::vector<DomainKey> keys;
        std::shared_ptr<seal::KeyRing> ring;
    };
    Task<Loaded> read_all();
    Task<void> read_domain(Loaded& loaded, std::string domain);
    Task<Result<std::string>> read_file(std::string path);
    Task<Status<Error>> write_key(std::string domain, std::string selector, std::string ending,
                                  std::string pem);
    std::string free_selector(std::string_view domain, char kind) const;
    std::string path_of(const std::string& domain, const std::string& selector,
                        std::string_view ending) const;

    world::World& world_;
    std::string directory_;
    std::atomic<std::shared_ptr<const seal::KeyRing>> ring_;
    std::vector<DomainKey> keys_;
    uint64_t loads_ = 0;     // begun
    bool changing_ = false;  // one change at a time
};

}  // namespace postrider::daemon
