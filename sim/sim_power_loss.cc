// What a loss of power leaves of one file's unsynced changes.

#include <algorithm>

#include "sim/sim_file_system.h"

namespace postrider::sim {

namespace {

// How the changes of one file fare together; drawn per file, the extremes among them.
enum class Manner : uint8_t {
    Nothing,
    Everything,
    Prefix,
    EachChange,
    EachSector
};

Manner draw_manner(SeededRandom& random) {
    uint64_t draw = random.below(100);
    if (draw < 15) return Manner::Nothing;
    if (draw < 30) return Manner::Everything;
    if (draw < 55) return Manner::Prefix;
    if (draw < 75) return Manner::EachChange;
    return Manner::EachSector;
}

// The newest change that each part of a sector holds, by index; -1: none. A torn sector has two.
struct SectorFate {
    int front = -1;
    int back = -1;
    uint64_t cut = kSectorOctets;  // where the back begins
};

class Survival {
public:
    Survival(const std::vector<FileChange>& changes, Manner manner, SeededRandom& random,
             const PowerLossChances& chances)
        : changes_(changes), random_(random), chances_(chances) {
        lengths = changes.size();
        if (manner == Manner::Prefix) {
            lengths = std::size_t(random.below(changes.size()));
        } else if (random.chance(500)) {
            lengths = std::size_t(random.below(changes.size() + 1));
        }
        for (std::size_t i = 0; i < changes.size(); i++) {
            if (!changes[i].is_truncate) draw(int(i), manner);
        }
    }

    std::size_t lengths = 0;      // as many changes of the length count
    uint64_t prefix_reaches = 0;  // Manner::Prefix: end of what survives of the change cut through

    SectorFate fate(uint64_t sector) const {
        auto found = fates_.find(sector);
        return found == fates_.end() ? SectorFate{} : found->second;
    }

private:
    void draw(int index, Manner manner) {
        const FileChange& change = changes_[std::size_t(index)];
        uint64_t end = change.offset + change.octets.size();
        uint64_t keep_end = end;
        if (manner == Manner::Prefix) {
            if (std::size_t(index) > lengths) return;
            if (std::size_t(index) == lengths) {
                keep_end = change.offset + random_.below(change.octets.size() + 1);
                if (keep_end == change.offset) return;
                prefix_reaches =
                    std::min(end, (keep_end + kSectorOctets - 1) / kSectorOctets * kSectorOctets);
            }
        } else if (manner == Manner::EachChange && random_.chance(500)) {
            return;
        }
        for (uint64_t s = change.offset / kSectorOctets; s * kSectorOctets < keep_end; s++) {
            if (manner == Manner::EachSector && random_.chance(500)) continue;
            bool at_the_cut = keep_end < end && (s + 1) * kSectorOctets >= keep_end;
            keep(index, s, at_the_cut);
        }
    }

    void keep(int index, uint64_t sector, bool at_the_cut) {
        SectorFate& fate = fates_[sector];
        uint32_t torn = chances_.torn_sector_per_1000;
        if (!random_.chance(at_the_cut ? std::min(500u, torn * 10) : torn)) {
            fate = {.front = index, .back = index};
            return;
        }
        fate.cut = random_.between(uint64_t(1), kSectorOctets - 1);
        if (random_.chance(500)) {
            fate.front = index;
        } else {
            fate.back = index;
        }
    }

    const std::vector<FileChange>& changes_;
    SeededRandom& random_;
    const PowerLossChances& chances_;
    std::map<uint64_t, SectorFate> fates_;
};

// Writes the octets of [begin, end) that belong to the change.
void write_part(Content& content, const FileChange& change, uint64_t begin, uint64_t end) {
    begin = std::max(begin, change.offset);
    end = std::min<uint64_t>(end, change.offset + change.octets.size());
    if (begin >= end) return;
    content.write(begin, std::string_view(change.octets)
                             .substr(std::size_t(begin - change.offset), std::size_t(end - begin)));
}

}  // namespace

void FileSystem::lose_content(Inode& file, SeededRandom& random, const PowerLossChances& chances) {
    std::vector<FileChange> changes = std::exchange(file.unsynced, {});
    Manner manner = changes.empty() ? Manner::Nothing : draw_manner(random);
    if (manner == Manner::Everything) {
        file.unsynced = std::move(changes);
        sync(file, mark());
    } else if (manner != Manner::Nothing) {
        Survival survival(changes, manner, random, chances);
        uint64_t size =
            survival.lengths == 0 ? file.durable.size() : changes[survival.lengths - 1].size_after;
        size = std::max(size, survival.prefix_reaches);
        for (std::size_t i = 0; i < changes.size(); i++) {
            const FileChange& change = changes[i];
            if (change.is_truncate) {
                if (i < survival.lengths) file.durable.resize(change.size_after);
                continue;
            }
            uint64_t end = change.offset + change.octets.size();
            for (uint64_t s = change.offset / kSectorOctets; s * kSectorOctets < end; s++) {
                SectorFate fate = survival.fate(s);
                uint64_t at = s * kSectorOctets;
                if (int(i) <= fate.front) write_part(file.durable, change, at, at + fate.cut);
                if (int(i) <= fate.back) {
                    write_part(file.durable, change, at + fate.cut, at + kSectorOctets);
                }
            }
        }
        file.durable.resize(size);
    }
    file.visible = file.durable;
}

}  // namespace postrider::sim
