#include "daemon/config_key_parts.h"

#include <algorithm>
#include <vector>

namespace postrider::daemon {

std::span<const Key> config_keys() {
    static const std::vector<Key> kAll = [] {
        std::vector<Key> all;
        for (std::span<const Key> part : {general_keys(), account_keys()}) {
            all.insert(all.end(), part.begin(), part.end());
        }
        return all;
    }();
    return kAll;
}

const Key* find_key(std::string_view section, std::string_view name) {
    std::span<const Key> all = config_keys();
    auto found = std::ranges::find_if(
        all, [&](const Key& key) { return key.section == section && key.name == name; });
    return found == all.end() ? nullptr : &*found;
}

}  // namespace postrider::daemon
