#include "daemon/domain_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "daemon/domain_check.h"
#include "daemon/domain_keys.h"
#include "daemon/river.h"
#include "mailauth/dkim/key_record.h"
#include "mailauth/domain.h"

namespace postrider::daemon {

namespace {

using admin::Json;
using State = DomainKey::State;

// The domain that is meant, in A-labels. It becomes the name of a folder.
Result<std::string> domain_in(const Json& args) {
    auto found = args.find("domain");
    if (found == args.end() || !found->is_string()) return fail("say which domain");
    auto text = found->get<std::string>();
    auto domain = mailauth::a_labels(text);
    bool fits = domain && domain->find('.') != std::string::npos &&
                std::ranges::all_of(*domain, [](char c) {
                    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '_' || c == '.';
                });
    if (!fits) return fail("\"" + mailauth::shown(text) + "\" is not a domain");
    return *domain;
}

Json record_row(std::string_view purpose, const std::string& name, const std::string& value) {
    return {
        {"record",
         {{"purpose", purpose},
          {"name", name},
          {"value", value},
          {"zone", fmt::format("{}. IN TXT {}", name, mailauth::dkim::zone_file_strings(value))}}}};
}

Json key_row(const DomainKey& key) { return record_row("DKIM", key.record_name(), key.record); }

Task<Status<Error>> write_all(admin::Rows& rows, std::vector<Json> all) {
    for (Json& row : all) {
        if (auto written = co_await rows.write(std::move(row)); !written) co_return written;
    }
    co_return Status<Error>{};
}

// What permits us: the hosts of the domain, ourselves, and the addresses we are told to send from.
std::string suggested_spf(const Config& config) {
    std::string out = "v=spf1 mx a:" + config.hostname;
    for (const world::IpAddress& source : sending_addresses(config)) {
        out += (source.family == world::IpAddress::Family::V4 ? " ip4:" : " ip6:") + source.text();
    }
    return out + " -all";
}

void log_change(River& river, const std::string& domain, std::string_view command,
                const std::vector<DomainKey>& keys) {
    std::string selectors;
    for (const DomainKey& key : keys) {
        selectors +=
            fmt::format("{}{} {}", selectors.empty() ? "" : ", ", key.selector, name(key.state));
    }
    river.world().log.write(Event::DomainKeysChanged,
                            {{"domain", domain}, {"command", command}, {"selectors", selectors}});
}

bool has(const std::vector<DomainKey>& keys, State state) {
    return std::ranges::find(keys, state, &DomainKey::state) != keys.end();
}

Task<Result<Json>> domain_add(River& river, Json args, admin::Rows& rows) {
    auto domain = domain_in(args);
    if (!domain) co_return std::unexpected(domain.error());
    bool made = !has(river.keys().keys_of(*domain), State::Signs);
    if (made) {
        auto done = co_await river.keys().make(*domain, State::Signs);
        if (!done) co_return std::unexpected(done.error());
        log_change(river, *domain, "add", river.keys().keys_of(*domain));
    }
    std::vector<Json> out;
    for (const DomainKey& key : river.keys().keys_of(*domain)) out.push_back(key_row(key));
    out.push_back(record_row("SPF", *domain, suggested_spf(river.config())));
    out.push_back(record_row("DMARC", "_dmarc." + *domain,
                             "v=DMARC1; p=none; rua=mailto:postmaster@" + *domain));
    if (auto written = co_await write_all(rows, std::move(out)); !written) {
        co_return std::unexpected(written.error());
    }
    co_return Json{
        {"domain", *domain}, {"made", made}, {"smarthost", river.config().relay.smarthost}};
}

// All that shall sign from now on must be found by those who verify.
Task<Status<Error>> published(River& river, std::vector<DomainKey> keys) {
    for (DomainKey& key : keys) {
        if (key.state != State::Next) continue;
        DnsFinding found = co_await check_key(river.world(), key);
        if (found.state != DnsFinding::State::Ok) {
            co_return fail(
                fmt::format("{}: {}; publish it, or give --force", found.name, found.text));
        }
    }
    co_return Status<Error>{};
}

// By a [[signer]]: such a key is changed there, by hand, with its name.
std::vector<std::string> named_keys(const Config& config) {
    std::vector<std::string> out;
    for (const seal::SigningRule& rule : config.signers) {
        out.insert(out.end(), rule.keys.begin(), rule.keys.end());
    }
    return out;
}

Task<Result<Json>> domain_rotate(River& river, Json args, admin::Rows& rows) {
    auto domain = domain_in(args);
    if (!domain) co_return std::unexpected(domain.error());
    std::string step = args.value("step", "make");
    DomainKeys& all = river.keys();
    std::vector<DomainKey> before = all.keys_of(*domain);
    Status<Error> done;
    std::vector<Json> out;
    if (step == "make") {
        if (!has(before, State::Signs)) {
            co_return fail(*domain + " has no keys: postrider domain add makes them");
        }
        if (has(before, State::Old)) {
            co_return fail(*domain + " still has keys of the last rotation: finish it first");
        }
        if (!has(before, State::Next)) done = co_await all.make(*domain, State::Next);
        for (const DomainKey& key : all.keys_of(*domain)) {
            if (key.state == State::Next) out.push_back(key_row(key));
        }
    } else if (step == "switch") {
        if (!has(before, State::Next)) co_return fail(*domain + " has no new keys to switch to");
        if (!args.value("force", false)) done = co_await published(river, before);
        if (done) done = co_await all.switch_to_next(*domain, named_keys(river.config()));
    } else if (step == "finish") {
        if (!has(before, State::Old)) co_return fail(*domain + " has no old keys");
        done = co_await all.remove_old(*domain);
        for (const DomainKey& key : before) {
            if (key.state == State::Old) out.push_back(key_row(key));
        }
    } else {
        co_return fail("\"" + mailauth::shown(step) + "\" is no step: make, switch or finish");
    }
    if (!done) co_return std::unexpected(done.error());
    log_change(river, *domain, "rotate " + step, all.keys_of(*domain));
    if (auto written = co_await write_all(rows, std::move(out)); !written) {
        co_return std::unexpected(written.error());
    }
    co_return Json{{"domain", *domain}, {"step", step}};
}

Task<Result<Json>> domain_list(River& river, admin::Rows& rows) {
    std::map<std::string, Json> domains;
    auto entry = [&](const std::string& name) -> Json& {
        auto [place, is_new] = domains.try_emplace(name);
        if (is_new)
            place->second = {{"domain", name}, {"kept_here", false}, {"keys", Json::array()}};
        return place->second;
    };
    for (const auto& local : river.config().routing.domains) {
        entry(mailauth::a_labels(local.name).value_or(local.name))["kept_here"] = true;
    }
    for (const DomainKey& key : river.keys().keys()) {
        entry(key.domain)["keys"].push_back({{"selector", key.selector},
                                             {"state", name(key.state)},
                                             {"algorithm", key.algorithm},
                                             {"bits", key.bits}});
    }
    for (auto& [name, row] : domains) {
        if (auto written = co_await rows.write(std::move(row)); !written) {
            co_return std::unexpected(written.error());
        }
    }
    co_return Json{{"domains", domains.size()}};
}

Task<Result<Json>> domain_check(River& river, Json args, admin::Rows& rows) {
    auto domain = domain_in(args);
    if (!domain) co_return std::unexpected(domain.error());
    std::vector<DomainKey> keys = river.keys().keys_of(*domain);
    std::vector<DnsFinding> findings =
        co_await check_domain(river.world(), river.config(), *domain, keys);
    std::size_t problems = 0;
    for (const DnsFinding& finding : findings) {
        problems += finding.is_problem() ? 1 : 0;
        Json row{{"check",
                  {{"about", finding.about},
                   {"name", finding.name},
                   {"state", name(finding.state)},
                   {"text", finding.text}}}};
        if (auto written = co_await rows.write(std::move(row)); !written) {
            co_return std::unexpected(written.error());
        }
    }
    co_return Json{{"domain", *domain}, {"problems", problems}};
}

}  // namespace

void add_domain_commands(admin::Commands& commands, River& river) {
    commands["domain add"] = [&river](Json args, admin::Rows& rows) {
        return domain_add(river, std::move(args), rows);
    };
    commands["domain rotate"] = [&river](Json args, admin::Rows& rows) {
        return domain_rotate(river, std::move(args), rows);
    };
    commands["domain list"] = [&river](const Json&, admin::Rows& rows) {
        return domain_list(river, rows);
    };
    commands["domain check"] = [&river](Json args, admin::Rows& rows) {
        return domain_check(river, std::move(args), rows);
    };
}

}  // namespace postrider::daemon
