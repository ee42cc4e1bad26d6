// postrider_bench_rocksdb: the same work in RocksDB, whose writers share a sync as ours do (group
// commit, WriteOptions::sync).
//
// Each session is a thread, since its calls block. Settings are those that its documentation
// advises for large values that live shortly: values apart from keys (BlobDB), log files used
// again, pipelined writes, no compression of what cannot be made smaller.

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "bench/load.h"
#include "bench/store/work.h"

namespace postrider::bench::store {
namespace {

constexpr std::size_t kEnvelopeOctets = 200;

rocksdb::Options options() {
    rocksdb::Options out;
    out.create_if_missing = true;
    out.compression = rocksdb::kNoCompression;
    out.enable_pipelined_write = true;
    out.recycle_log_file_num = 4;
    out.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    out.write_buffer_size = 64 << 20;
    out.max_background_jobs = 2;
    out.enable_blob_files = true;
    out.min_blob_size = 4096;
    out.enable_blob_garbage_collection = true;
    return out;
}

void must(const rocksdb::Status& status) {
    if (!status.ok()) give_up(status.ToString());
}

void session(const Work& work, rocksdb::DB& db, const std::string& value,
             std::atomic<uint64_t>& begun) {
    rocksdb::WriteOptions durable;
    durable.sync = true;
    for (uint64_t number; (number = begun++) < work.messages;) {
        std::string key = fmt::format("{:016x}", number);
        must(db.Put(durable, key, value));
        if (work.finished) must(db.Delete(durable, key));
    }
}

void run(const Work& work) {
    rocksdb::DB* opened = nullptr;
    must(rocksdb::DB::Open(options(), work.folder, &opened));
    std::unique_ptr<rocksdb::DB> db(opened);
    const std::string value = std::string(kEnvelopeOctets, 'e') + content_of(work);
    std::atomic<uint64_t> begun = 0;
    Costs begin = costs_now();
    {
        std::vector<std::jthread> sessions;
        for (uint64_t i = 0; i < work.sessions; i++) {
            sessions.emplace_back([&] { session(work, *db, value, begun); });
        }
    }
    tell(work, begin);
    must(db->Close());
}

}  // namespace
}  // namespace postrider::bench::store

int main(int count, char** words) {
    using namespace postrider::bench::store;
    run(parse(count, words, "stores messages in RocksDB"));
    return 0;
}
