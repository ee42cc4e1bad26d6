#include "seal/signing.h"

#include <algorithm>
#include <utility>

#include "mailauth/dmarc/author.h"
#include "mailauth/domain.h"

namespace postrider::seal {

namespace {

using mailauth::dkim::SigningKey;

constexpr std::string_view kDomainKey = "._domainkey.";  // RFC 6376 §3.6.2.1

Task<Result<std::string>> sign(mailauth::dkim::Signer& signer) { co_return signer.finish(); }

bool is_within(std::string_view domain, std::string_view ancestor) {
    return domain == ancestor || (domain.size() > ancestor.size() && domain.ends_with(ancestor) &&
                                  domain[domain.size() - ancestor.size() - 1] == '.');
}

bool fits(const SigningRule& rule, std::string_view author, std::string_view account) {
    bool by_account =
        rule.accounts.empty() ||
        (!account.empty() && std::ranges::find(rule.accounts, account) != rule.accounts.end());
    return by_account && (rule.domains.empty() ||
                          std::ranges::any_of(rule.domains, [&](const std::string& domain) {
                              return is_within(author, domain);
                          }));
}

// A rule names this key, so it signs for nothing else.
bool is_reserved(const SigningRules& rules, const SigningKey& key) {
    if (rules.rules.empty()) return false;
    std::string name = key_record_name(key);
    return std::ranges::any_of(rules.rules, [&](const SigningRule& rule) {
        return std::ranges::find(rule.keys, name) != rule.keys.end();
    });
}

// Those of this very domain that no rule names. True when there are any.
bool add_domains_keys(const KeyRing& ring, const SigningRules& rules, std::string_view domain,
                      std::vector<SigningKey>& out) {
    const auto* keys = ring.find(domain);
    if (!keys) return false;
    std::size_t before = out.size();
    std::ranges::copy_if(*keys, std::back_inserter(out),
                         [&](const SigningKey& key) { return !is_reserved(rules, key); });
    return out.size() > before;
}

void add_authors_keys(const KeyRing& ring, const SigningRules& rules, std::string_view author,
                      std::vector<SigningKey>& out) {
    while (!add_domains_keys(ring, rules, author, out)) {
        std::size_t dot = author.find('.');
        if (dot == std::string_view::npos) return;
        author.remove_prefix(dot + 1);
    }
}

// One key by the name of its record.
bool add_named_key(const KeyRing& ring, std::string_view name, std::vector<SigningKey>& out) {
    std::size_t middle = name.find(kDomainKey);
    const auto* keys = middle == std::string_view::npos
                           ? nullptr
                           : ring.find(name.substr(middle + kDomainKey.size()));
    if (!keys) return false;
    auto key = std::ranges::find(*keys, name, key_record_name);
    if (key == keys->end()) return false;
    out.push_back(*key);
    return true;
}

}  // namespace

void KeyRing::add(SigningKey key) {
    std::string domain = key.domain;
    keys_[std::move(domain)].push_back(std::move(key));
}

const std::vector<SigningKey>* KeyRing::find(std::string_view domain) const {
    auto found = keys_.find(domain);
    return found == keys_.end() ? nullptr : &found->second;
}

std::string key_record_name(const SigningKey& key) {
    return mailauth::ascii_lower(key.selector + std::string(kDomainKey) + key.domain);
}

Choice choose_keys(const KeyRing& ring, const SigningRules& rules, std::string_view author,
                   std::string_view account) {
    Choice out;
    auto rule = std::ranges::find_if(
        rules.rules, [&](const SigningRule& one) { return fits(one, author, account); });
    if (rule == rules.rules.end()) {
        add_authors_keys(ring, rules, author, out.keys);
        return out;
    }
    for (const std::string& name : rule->keys) {
        if (name == kAuthorsKeys) {
            add_authors_keys(ring, rules, author, out.keys);
        } else if (!add_named_key(ring, name, out.keys) &&
                   !add_domains_keys(ring, rules, name, out.keys) && out.missing.empty()) {
            out.missing = name;
        }
    }
    return out;
}

Signing::Start Signing::start(const KeyRing& keys, const SigningRules& rules,
                              std::string_view header_block, std::string_view account, Wall now) {
    Start out;
    if (keys.is_empty() && rules.rules.empty()) return out;
    auto authors = mailauth::dmarc::authors_of(header_block);
    if (authors.domains.size() != 1 || !authors.complete) return out;
    out.domain = std::move(authors.domains.front());
    Choice choice = choose_keys(keys, rules, out.domain, account);
    if (!choice.missing.empty()) out.trouble = "no key signs as " + choice.missing;
    if (choice.keys.empty()) return out;
    auto signer =
        mailauth::dkim::Signer::start(header_block, std::move(choice.keys), rules.options, now);
    if (signer) {
        out.signing.reset(new Signing(std::move(*signer)));
    } else {
        out.trouble = signer.error().message;
    }
    return out;
}

Task<Result<std::string>> Signing::finish(world::Worker& worker) {
    co_return co_await worker.run(sign(signer_));
}

}  // namespace postrider::seal
