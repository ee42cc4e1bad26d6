#include "mailauth/dkim/field_index.h"

#include <algorithm>

#include "mailauth/domain.h"

namespace postrider::mailauth::dkim {
namespace {

// Less than zero, zero, or more; names of unequal length are told apart at once.
int compare(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
    for (std::size_t i = 0; i < a.size(); i++) {
        if (ascii_lower(a[i]) != ascii_lower(b[i])) return ascii_lower(a[i]) - ascii_lower(b[i]);
    }
    return 0;
}

}  // namespace

FieldIndex::FieldIndex(std::string_view header_block) {
    HeaderReader reader(header_block);
    while (auto field = reader.next()) fields_.push_back(*field);
    order_.resize(fields_.size());
    for (uint32_t i = 0; i < order_.size(); i++) order_[i] = i;
    std::ranges::sort(order_, [&](uint32_t a, uint32_t b) {
        const int names = compare(fields_[a].name, fields_[b].name);
        return names != 0 ? names < 0 : a > b;
    });
    for (std::size_t i = 0; i < order_.size(); i++) {
        if (i == 0 || compare(fields_[order_[i]].name, fields_[order_[i - 1]].name) != 0) {
            groups_.push_back({.begin = i});
        }
        groups_.back().end = i + 1;
    }
}

std::size_t FieldIndex::count(std::string_view name) const {
    const Group* group = const_cast<FieldIndex*>(this)->group_of(name);
    return group ? group->end - group->begin : 0;
}

const HeaderField* FieldIndex::take(std::string_view name) {
    Group* group = group_of(name);
    if (!group || group->begin + group->taken == group->end) return nullptr;
    return &fields_[order_[group->begin + group->taken++]];
}

void FieldIndex::reset() {
    for (Group& group : groups_) group.taken = 0;
}

FieldIndex::Group* FieldIndex::group_of(std::string_view name) {
    const auto group = std::ranges::lower_bound(groups_, 0, {}, [&](const Group& g) {
        return compare(fields_[order_[g.begin]].name, name);
    });
    if (group == groups_.end() || compare(fields_[order_[group->begin]].name, name) != 0) {
        return nullptr;
    }
    return &*group;
}

}  // namespace postrider::mailauth::dkim
