#include "world/real/real_sql.h"

#include <libpq-fe.h>
#include <sqlite3.h>

#include <algorithm>
#include <mutex>

namespace postrider::world::real {

namespace {

using Rows = std::vector<SqlRow>;

int milliseconds_left(Duration left) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
    return static_cast<int>(std::clamp<int64_t>(ms, 1, 600'000));
}

// What both have in common: a connection that is used on workers, by one at a time.
class Connection : public SqlDatabase {
public:
    Connection(Worker& worker, Clock& clock) : worker_(worker), clock_(clock) {}

    Task<Result<Rows>> ask(std::string statement, std::vector<std::string> values,
                           Deadline deadline) override {
        co_return co_await worker_.run(
            on_worker(std::move(statement), std::move(values), deadline));
    }

protected:
    virtual Result<Rows> answer(const std::string& statement,
                                const std::vector<std::string>& values, int time_ms) = 0;

private:
    Task<Result<Rows>> on_worker(std::string statement, std::vector<std::string> values,
                                 Deadline deadline) {
        const std::scoped_lock held(lock_);
        if (deadline.reached(clock_.now())) co_return fail("the database is too busy");
        co_return answer(statement, values, milliseconds_left(deadline.at - clock_.now()));
    }

    Worker& worker_;
    Clock& clock_;
    std::mutex lock_;
};

class Sqlite : public Connection {
public:
    Sqlite(Worker& worker, Clock& clock, std::string path)
        : Connection(worker, clock), path_(std::move(path)) {}

private:
    struct Close {
        void operator()(sqlite3* db) const { sqlite3_close(db); }
        void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
    };
    using Statement = std::unique_ptr<sqlite3_stmt, Close>;

    std::unexpected<Error> broken() {
        std::string words = db_ ? sqlite3_errmsg(db_.get()) : "cannot be opened";
        db_.reset();
        return fail(path_ + ": " + words);
    }

    Result<Rows> answer(const std::string& text, const std::vector<std::string>& values,
                        int time_ms) override {
        if (!db_) {
            sqlite3* db = nullptr;
            const int error = sqlite3_open_v2(path_.c_str(), &db,
                                              SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
            db_.reset(db);
            if (error != SQLITE_OK) return broken();
        }
        sqlite3_busy_timeout(db_.get(), time_ms);
        sqlite3_stmt* raw = nullptr;
        if (sqlite3_prepare_v2(db_.get(), text.c_str(), -1, &raw, nullptr) != SQLITE_OK) {
            return broken();
        }
        const Statement statement(raw);
        for (std::size_t i = 0; i < values.size(); i++) {
            sqlite3_bind_text(raw, static_cast<int>(i + 1), values[i].data(),
                              static_cast<int>(values[i].size()), SQLITE_TRANSIENT);
        }
        Rows rows;
        int step = 0;
        while ((step = sqlite3_step(raw)) == SQLITE_ROW) {
            if (rows.size() == kRowsMax) return fail(path_ + ": too many rows");
            SqlRow row;
            for (int column = 0; column < sqlite3_column_count(raw); column++) {
                const auto* octets =
                    reinterpret_cast<const char*>(sqlite3_column_text(raw, column));
                if (octets == nullptr) {
                    row.emplace_back();
                } else {
                    row.emplace_back(std::string(
                        octets, static_cast<std::size_t>(sqlite3_column_bytes(raw, column))));
                }
            }
            rows.push_back(std::move(row));
        }
        if (step != SQLITE_DONE) {
            std::string words = sqlite3_errmsg(db_.get());
            return fail(path_ + ": " + words);
        }
        return rows;
    }

    std::string path_;
    std::unique_ptr<sqlite3, Close> db_;
};

class Postgres : public Connection {
public:
    Postgres(Worker& worker, Clock& clock, std::string url)
        : Connection(worker, clock), url_(std::move(url)) {}

private:
    struct Close {
        void operator()(PGconn* connection) const { PQfinish(connection); }
        void operator()(PGresult* result) const { PQclear(result); }
    };

    std::unexpected<Error> broken() {
        std::string words = connection_ ? PQerrorMessage(connection_.get()) : "no memory";
        connection_.reset();
        while (words.ends_with('\n')) words.pop_back();
        std::ranges::replace(words, '\n', ' ');
        return fail("postgresql: " + words);
    }

    Status<Error> connect(int time_ms) {
        if (connection_ && PQstatus(connection_.get()) == CONNECTION_OK) return {};
        const std::string seconds = std::to_string(std::max(2, time_ms / 1000));
        const char* keys[] = {"dbname", "connect_timeout", "application_name", nullptr};
        const char* values[] = {url_.c_str(), seconds.c_str(), "postrider", nullptr};
        connection_.reset(PQconnectdbParams(keys, values, 1));
        if (!connection_ || PQstatus(connection_.get()) != CONNECTION_OK) return broken();
        return {};
    }

    Result<Rows> answer(const std::string& text, const std::vector<std::string>& values,
                        int time_ms) override {
        // A connection that has died while idle shows it with the first question.
        const bool kept = connection_ != nullptr;
        auto rows = answer_once(text, values, time_ms);
        if (rows || !kept || connection_) return rows;
        return answer_once(text, values, time_ms);
    }

    Result<Rows> answer_once(const std::string& text, const std::vector<std::string>& values,
                             int time_ms) {
        if (auto connected = connect(time_ms); !connected) {
            return std::unexpected(connected.error());
        }
        const std::string limit = "SET statement_timeout = " + std::to_string(time_ms);
        const std::unique_ptr<PGresult, Close> set(PQexec(connection_.get(), limit.c_str()));
        if (PQresultStatus(set.get()) != PGRES_COMMAND_OK) return broken();
        std::vector<const char*> pointers;
        for (const std::string& value : values) pointers.push_back(value.c_str());
        const std::unique_ptr<PGresult, Close> result(
            PQexecParams(connection_.get(), text.c_str(), static_cast<int>(values.size()), nullptr,
                         pointers.data(), nullptr, nullptr, 0));
        if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) return broken();
        const int count = PQntuples(result.get());
        if (count > static_cast<int>(kRowsMax)) return fail("postgresql: too many rows");
        Rows rows(static_cast<std::size_t>(count));
        for (int i = 0; i < count; i++) {
            for (int column = 0; column < PQnfields(result.get()); column++) {
                SqlRow& row = rows[static_cast<std::size_t>(i)];
                if (PQgetisnull(result.get(), i, column) == 1) {
                    row.emplace_back();
                } else {
                    row.emplace_back(std::string(PQgetvalue(result.get(), i, column)));
                }
            }
        }
        return rows;
    }

    std::string url_;
    std::unique_ptr<PGconn, Close> connection_;
};

}  // namespace

Result<std::shared_ptr<SqlDatabase>> RealSql::open(const std::string& url) {
    constexpr std::string_view kSqlite = "sqlite:";
    if (url.starts_with(kSqlite)) {
        return std::make_shared<Sqlite>(worker_, clock_, url.substr(kSqlite.size()));
    }
    if (url.starts_with("postgresql:") || url.starts_with("postgres:")) {
        return std::make_shared<Postgres>(worker_, clock_, url);
    }
    return fail("a database is sqlite:/path or postgresql://...");
}

}  // namespace postrider::world::real
