#include "accounts/sql_store.h"

#include "accounts/password.h"

namespace postrider::accounts {

SqlStore::SqlStore(world::World& world, std::string key,
                   std::shared_ptr<world::SqlDatabase> database, std::string query,
                   StoreSkills skills)
    : KeptUsers(world.worker, std::move(key)),
      world_(world),
      database_(std::move(database)),
      query_(std::move(query)),
      skills_(skills),
      decoy_(hash(Scheme::ScramSha256, "decoy", "0123456789abcdef").value_or("")) {}

Task<Result<std::optional<User>, StoreError>> SqlStore::fetch(std::string name) {
    std::vector<std::string> values;
    values.push_back(folded(name));
    auto rows = co_await database_->ask(query_, std::move(values),
                                        Deadline::after(world_.clock.now(), kAnswerTime));
    if (!rows) co_return std::unexpected(StoreError{rows.error().message});
    User user{.name = std::move(name)};
    for (const world::SqlRow& row : *rows) {
        if (row.empty() || !row[0] || !is_secret(*row[0])) continue;
        std::string label = row.size() > 1 ? row[1].value_or("") : "";
        if (row.size() > 2 && row[2] && user.rights.send_as.empty()) {
            std::string_view rest = *row[2];
            while (!rest.empty()) {
                const std::string_view pattern = rest.substr(0, rest.find(','));
                rest.remove_prefix(std::min(pattern.size() + 1, rest.size()));
                if (!pattern.empty()) user.rights.send_as.emplace_back(pattern);
            }
        }
        user.credentials.push_back({std::move(label), *row[0]});
    }
    if (user.credentials.empty()) co_return std::optional<User>();
    co_return user;
}

Task<std::optional<User>> SqlStore::any_user(uint64_t) {
    co_return User{.name = "", .credentials = {{"", decoy_}}};
}

}  // namespace postrider::accounts
