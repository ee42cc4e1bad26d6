#include "sim/sim_file_system.h"

#include <algorithm>
#include <cassert>

namespace postrider::sim {

namespace {

// The names of a path; "." and empty names mean nothing, ".." goes up.
std::vector<std::string_view> names_of(std::string_view path) {
    std::vector<std::string_view> names;
    while (!path.empty()) {
        std::size_t end = std::min(path.find('/'), path.size());
        std::string_view name = path.substr(0, end);
        path.remove_prefix(std::min(end + 1, path.size()));
        if (name.empty() || name == ".") continue;
        if (name != "..") {
            names.push_back(name);
        } else if (!names.empty()) {
            names.pop_back();
        }
    }
    return names;
}

InodePointer walk(InodePointer at, std::span<const std::string_view> names, bool durable) {
    for (std::string_view name : names) {
        if (!at->is_directory) return nullptr;
        const auto& entries = durable ? at->durable_names : at->names;
        auto found = entries.find(name);
        if (found == entries.end()) return nullptr;
        at = found->second;
    }
    return at;
}

void apply(Content& content, const FileChange& change) {
    if (change.is_truncate) {
        content.resize(change.size_after);
    } else {
        content.write(change.offset, change.octets);
    }
}

void apply(Inode& directory, NameChange& change) {
    if (!change.removed.empty()) directory.durable_names.erase(change.removed);
    if (!change.added.empty()) directory.durable_names[change.added] = change.target;
}

void collect(const InodePointer& inode, std::map<uint64_t, InodePointer>& all) {
    if (!all.emplace(inode->id, inode).second) return;
    for (const auto& [name, child] : inode->names) collect(child, all);
    for (const auto& [name, child] : inode->durable_names) collect(child, all);
    for (const NameChange& change : inode->unsynced_names) {
        if (change.target) collect(change.target, all);
    }
}

}  // namespace

FileSystem::FileSystem() : root_(std::make_shared<Inode>()) {
    root_->is_directory = true;
    root_->links = 1;
    root_->id = next_id_++;
}

FileSystem::Outcome<InodePointer> FileSystem::find(std::string_view path) const {
    InodePointer found = walk(root_, names_of(path), /*durable=*/false);
    if (!found) return std::unexpected(Kind::NotFound);
    return found;
}

FileSystem::Outcome<InodePointer> FileSystem::find_directory(std::string_view path) const {
    auto found = find(path);
    if (found && !(*found)->is_directory) return std::unexpected(Kind::NotFound);
    return found;
}

FileSystem::Outcome<FileSystem::Place> FileSystem::place_of(std::string_view path) const {
    auto names = names_of(path);
    if (names.empty()) return std::unexpected(Kind::NotPermitted);  // the root itself
    std::string name(names.back());
    names.pop_back();
    InodePointer directory = walk(root_, names, /*durable=*/false);
    if (!directory || !directory->is_directory) return std::unexpected(Kind::NotFound);
    return Place{std::move(directory), std::move(name)};
}

FileSystem::Outcome<InodePointer> FileSystem::open(std::string_view path, world::OpenMode mode,
                                                   Wall now) {
    auto place = place_of(path);
    if (!place) return std::unexpected(place.error());
    auto found = place->directory->names.find(place->name);
    if (found != place->directory->names.end()) {
        if (mode == world::OpenMode::CreateNew) return std::unexpected(Kind::Exists);
        if (found->second->is_directory) return std::unexpected(Kind::NotPermitted);
        found->second->opens++;
        return found->second;
    }
    if (mode == world::OpenMode::Read || mode == world::OpenMode::ReadWrite) {
        return std::unexpected(Kind::NotFound);
    }
    auto made = create(*place, /*is_directory=*/false, now);
    if (made) (*made)->opens++;
    return made;
}

FileSystem::Outcome<InodePointer> FileSystem::create(const Place& place, bool is_directory,
                                                     Wall now) {
    if (file_count_ >= files_max) return std::unexpected(Kind::Full);
    file_count_++;
    auto inode = std::make_shared<Inode>();
    inode->id = next_id_++;
    inode->is_directory = is_directory;
    inode->modified = now;
    change_names(*place.directory, {.added = place.name, .target = inode}, now);
    return inode;
}

// Makes the change visible, and notes it as unsynced.
void FileSystem::change_names(Inode& directory, NameChange change, Wall now) {
    directory.modified = now;
    if (!change.removed.empty()) {
        auto gone = directory.names.find(change.removed);
        InodePointer target = gone->second;
        directory.names.erase(gone);
        target->links--;
        if (target != change.target) unlinked(*target);
    }
    if (!change.added.empty()) {
        InodePointer& slot = directory.names[change.added];
        InodePointer replaced = std::exchange(slot, change.target);
        change.target->links++;
        if (replaced) {
            replaced->links--;
            unlinked(*replaced);
        }
    }
    change.sequence = ++sequence_;
    directory.unsynced_names.push_back(std::move(change));
}

// Space comes back when neither a name nor a handle is left.
void FileSystem::unlinked(Inode& inode) {
    if (inode.links > 0 || inode.opens > 0) return;
    used_pages_ -= inode.visible.allocated_pages();
    file_count_--;
}

void FileSystem::close(const InodePointer& file, uint64_t opened_in_life) {
    if (opened_in_life != life_) return;
    file->opens--;
    unlinked(*file);
}

std::size_t FileSystem::write(Inode& file, uint64_t offset, std::string_view octets, Wall now) {
    uint64_t free = capacity_pages > used_pages_ ? capacity_pages - used_pages_ : 0;
    if (file.visible.pages_added_by(offset, octets.size()) > free) {
        // As many whole pages as fit, in order.
        std::size_t fits = 0;
        while (fits < octets.size()) {
            std::size_t next = std::size_t(std::min<uint64_t>(
                octets.size(),
                fits + Content::kPageOctets - (offset + fits) % Content::kPageOctets));
            if (file.visible.pages_added_by(offset, next) > free) break;
            fits = next;
        }
        octets = octets.substr(0, fits);
    }
    if (octets.empty()) return 0;
    uint64_t before = file.visible.allocated_pages();
    file.visible.write(offset, octets);
    used_pages_ += file.visible.allocated_pages() - before;
    file.modified = now;
    file.unsynced.push_back({.sequence = ++sequence_,
                             .offset = offset,
                             .octets = std::string(octets),
                             .size_after = file.visible.size()});
    return octets.size();
}

FileSystem::Outcome<void> FileSystem::truncate(Inode& file, uint64_t size, Wall now) {
    uint64_t before = file.visible.allocated_pages();
    file.visible.resize(size);
    used_pages_ -= before - file.visible.allocated_pages();
    file.modified = now;
    file.unsynced.push_back({.sequence = ++sequence_, .is_truncate = true, .size_after = size});
    return {};
}

FileSystem::Outcome<void> FileSystem::rename(std::string_view from, std::string_view to, Wall now) {
    auto source = place_of(from);
    auto target = place_of(to);
    if (!source) return std::unexpected(source.error());
    if (!target) return std::unexpected(target.error());
    auto found = source->directory->names.find(source->name);
    if (found == source->directory->names.end()) return std::unexpected(Kind::NotFound);
    InodePointer inode = found->second;
    auto old = target->directory->names.find(target->name);
    if (old != target->directory->names.end()) {
        if (old->second == inode) return {};  // two names of one file: nothing happens (POSIX)
        if (old->second->is_directory || inode->is_directory) {
            return std::unexpected(Kind::Exists);
        }
    }
    if (inode->is_directory) {
        auto inner = names_of(to);
        auto outer = names_of(from);
        if (inner.size() > outer.size() && std::equal(outer.begin(), outer.end(), inner.begin())) {
            return std::unexpected(Kind::NotPermitted);  // into itself
        }
    }
    if (source->directory == target->directory) {
        change_names(*source->directory,
                     {.removed = source->name, .added = target->name, .target = inode}, now);
        return {};
    }
    // The new name first, so that its number is the lower one.
    change_names(*target->directory, {.added = target->name, .target = inode}, now);
    change_names(*source->directory,
                 {.removed = source->name,
                  .moved_into = target->directory,
                  .moved_into_sequence = sequence_},
                 now);
    return {};
}

FileSystem::Outcome<void> FileSystem::link(std::string_view from, std::string_view to, Wall now) {
    auto inode = find(from);
    if (!inode) return std::unexpected(inode.error());
    if ((*inode)->is_directory) return std::unexpected(Kind::NotPermitted);
    auto target = place_of(to);
    if (!target) return std::unexpected(target.error());
    if (target->directory->names.contains(target->name)) return std::unexpected(Kind::Exists);
    change_names(*target->directory, {.added = target->name, .target = *inode}, now);
    return {};
}

FileSystem::Outcome<void> FileSystem::remove(std::string_view path, Wall now) {
    auto place = place_of(path);
    if (!place) return std::unexpected(place.error());
    auto found = place->directory->names.find(place->name);
    if (found == place->directory->names.end()) return std::unexpected(Kind::NotFound);
    if (found->second->is_directory) return std::unexpected(Kind::NotPermitted);
    change_names(*place->directory, {.removed = place->name}, now);
    return {};
}

FileSystem::Outcome<void> FileSystem::make_directory(std::string_view path, Wall now) {
    auto place = place_of(path);
    if (!place) return std::unexpected(place.error());
    if (place->directory->names.contains(place->name)) return std::unexpected(Kind::Exists);
    auto made = create(*place, /*is_directory=*/true, now);
    if (!made) return std::unexpected(made.error());
    return {};
}

void FileSystem::sync(Inode& file, uint64_t mark) {
    auto end = file.unsynced.begin();
    while (end != file.unsynced.end() && end->sequence <= mark) apply(file.durable, *end++);
    file.unsynced.erase(file.unsynced.begin(), end);
}

void FileSystem::sync_names(Inode& directory, uint64_t mark) {
    while (!directory.unsynced_names.empty() && directory.unsynced_names.front().sequence <= mark) {
        NameChange change = std::move(directory.unsynced_names.front());
        directory.unsynced_names.erase(directory.unsynced_names.begin());
        // Ends: the number asked for falls with each step.
        if (change.moved_into) sync_names(*change.moved_into, change.moved_into_sequence);
        apply(directory, change);
    }
}

void FileSystem::drop_unsynced(Inode& file, uint64_t mark, bool stays_visible) {
    std::erase_if(file.unsynced, [&](const FileChange& c) { return c.sequence <= mark; });
    if (stays_visible) return;
    uint64_t before = file.visible.allocated_pages();
    file.visible = file.durable;
    for (FileChange& change : file.unsynced) {
        apply(file.visible, change);
        change.size_after = file.visible.size();
    }
    used_pages_ = used_pages_ + file.visible.allocated_pages() - before;
}

void FileSystem::forget_handles() {
    life_++;
    std::map<uint64_t, InodePointer> all;
    collect(root_, all);
    for (auto& [id, inode] : all) inode->opens = 0;
    recount();
}

void FileSystem::power_loss(SeededRandom& random, const PowerLossChances& chances) {
    life_++;
    std::map<uint64_t, InodePointer> all;
    collect(root_, all);
    for (auto& [id, inode] : all) {
        // Often nothing or everything: the extremes find the most.
        if (inode->unsynced_names.empty()) continue;
        std::size_t count = inode->unsynced_names.size();
        uint64_t draw = random.below(4);
        std::size_t kept = draw == 0 ? 0 : draw == 1 ? count : std::size_t(random.below(count + 1));
        if (kept > 0) sync_names(*inode, inode->unsynced_names[kept - 1].sequence);
    }
    for (auto& [id, inode] : all) {
        inode->unsynced_names.clear();
        inode->names = inode->durable_names;
        if (!inode->is_directory) lose_content(*inode, random, chances);
        inode->opens = 0;
    }
    recount();
}

void FileSystem::recount() {
    std::map<uint64_t, InodePointer> all;
    collect(root_, all);
    for (auto& [id, inode] : all) inode->links = 0;
    root_->links = 1;
    for (auto& [id, inode] : all) {
        for (auto& [name, child] : inode->names) child->links++;
    }
    used_pages_ = 0;
    file_count_ = 0;
    for (auto& [id, inode] : all) {
        if (inode == root_ || (inode->links == 0 && inode->opens == 0)) continue;
        used_pages_ += inode->visible.allocated_pages();
        file_count_++;
    }
}

std::optional<std::string> FileSystem::visible_text(std::string_view path) const {
    InodePointer found = walk(root_, names_of(path), /*durable=*/false);
    if (!found || found->is_directory) return std::nullopt;
    return found->visible.text();
}

std::optional<std::string> FileSystem::durable_text(std::string_view path) const {
    InodePointer found = walk(root_, names_of(path), /*durable=*/true);
    if (!found || found->is_directory) return std::nullopt;
    return found->durable.text();
}

}  // namespace postrider::sim
