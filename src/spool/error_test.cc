#include "spool/error.h"

#include <gtest/gtest.h>

namespace postrider::spool {
namespace {

TEST(SpoolError, WhatTheDiskSaysKeepsItsMeaning) {
    using Disk = world::DiskError::Kind;
    using Kind = SpoolError::Kind;
    const std::pair<Disk, Kind> table[] = {{Disk::Full, Kind::Full},
                                           {Disk::Locked, Kind::Locked},
                                           {Disk::NotFound, Kind::NotFound},
                                           {Disk::Broken, Kind::DiskFailing},
                                           {Disk::ReadOnly, Kind::DiskFailing}};
    for (auto [disk, kind] : table) {
        SpoolError error = from_disk({disk, "words"});
        EXPECT_EQ(error.kind, kind);
        EXPECT_EQ(error.message, "words");
    }
}

}  // namespace
}  // namespace postrider::spool
