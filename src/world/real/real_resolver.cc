#include "world/real/real_resolver.h"

#include <fmt/format.h>
#include <unbound.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

namespace postrider::world::real {

using dns::Answer;
using dns::Question;
using Failure = dns::Answer::Failure;

namespace {

constexpr int kInternetClass = 1;
constexpr int kNoError = 0;  // RFC 1035 §4.1.1: RCODE
constexpr int kNxDomain = 3;
constexpr int kRecordsMax = 1000;  // of one answer; more are not looked at

struct Setting {
    const char* name;
    const char* value;
};

constexpr Setting kSettings[] = {
    {"do-not-query-localhost:", "no"},
    // Servers that were silent are asked again soon: an outage of ours must end by itself.
    {"infra-host-ttl:", "60"},
    {"infra-keep-probing:", "yes"},
};

// A recursive server nearby is the one to know what is local. RFC 6761 §6.2: "test" is sent there.
constexpr Setting kForwarderSettings[] = {
    {"unblock-lan-zones:", "yes"},
    {"insecure-lan-zones:", "yes"},
    {"local-zone:", "test. transparent"},
};

Status<Error> check(int error, std::string_view what) {
    if (error == 0) return {};
    return fail(fmt::format("resolver: {}: {}", what, ub_strerror(error)));
}

Status<Error> check_readable(const std::string& path) {
    if (std::ifstream(path).is_open()) return {};
    return fail(fmt::format("resolver: {} cannot be read", path));
}

// Nothing: an answer whose records cannot be read.
std::optional<std::vector<dns::Rdata>> records_of(const ub_result& result, dns::Type type) {
    std::vector<dns::Rdata> records;
    for (int i = 0; result.data[i] && i < kRecordsMax; i++) {
        auto wire = std::span(reinterpret_cast<const uint8_t*>(result.data[i]),
                              static_cast<std::size_t>(result.len[i]));
        auto record = dns::parse_rdata(type, wire);
        if (!record) return std::nullopt;
        records.push_back(std::move(*record));
    }
    if (records.empty()) return std::nullopt;
    return records;
}

Answer answer_of(const ub_result& result, const Question& question, Duration took) {
    if (result.bogus) {
        return Answer::temporary(Failure::Bogus,
                                 result.why_bogus ? result.why_bogus : "DNSSEC validation failed");
    }
    if (result.rcode != kNoError && result.rcode != kNxDomain) {
        auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
        return Answer::temporary(
            Failure::ServFail,
            fmt::format("{}: its servers failed or did not answer (rcode {} after {} ms)",
                        text(question), result.rcode, ms));
    }
    Answer answer;
    answer.secure = result.secure != 0;
    answer.ttl_seconds = static_cast<uint32_t>(std::max(result.ttl, 0));
    auto canonical = result.canonname ? dns::Name::parse(result.canonname) : std::nullopt;
    answer.canonical_name = canonical ? *canonical : question.name;
    if (result.nxdomain || result.rcode == kNxDomain) {
        answer.status = Answer::Status::NxDomain;
    } else if (!result.havedata) {
        answer.status = Answer::Status::NoData;
    } else {
        auto records = records_of(result, question.type);
        if (!records) {
            return Answer::temporary(
                Failure::Malformed,
                fmt::format("{}: the answer holds a malformed record", text(question)));
        }
        answer.status = Answer::Status::Ok;
        answer.records = std::move(*records);
    }
    return answer;
}

}  // namespace

// One open question and who waits for it.
struct RealResolver::Flight {
    RealResolver& resolver;
    Question question;
    Monotonic begun;
    Signal landed;
    std::optional<Answer> answer;
    int waiting = 0;
    int id = 0;  // libunbound's

    Flight(RealResolver& owner, Question asked)
        : resolver(owner),
          question(std::move(asked)),
          begun(owner.clock_.now()),
          landed(owner.executor_, owner.clock_) {}
};

// Somebody waits in a flight as long as this lives.
struct RealResolver::Seat {
    std::shared_ptr<Flight> flight;

    explicit Seat(std::shared_ptr<Flight> taken) : flight(std::move(taken)) { flight->waiting++; }
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    ~Seat() {
        if (--flight->waiting == 0 && !flight->answer) flight->resolver.leave(*flight);
    }
};

void RealResolver::FreeContext::operator()(ub_ctx* context) const { ub_ctx_delete(context); }

RealResolver::RealResolver(ResolverOptions options, Executor& executor, Clock& clock, Loop& shard0)
    : options_(std::move(options)),
      executor_(executor),
      clock_(clock),
      cache_(options_.cache_entries_max),
      shard0_(shard0) {}

RealResolver::~RealResolver() {
    if (watched_) shard0_.unwatch(ub_fd(context_.get()), *this);
}

const Status<Error>& RealResolver::prepare() {
    if (!prepared_) prepared_ = configure();
    return *prepared_;
}

Status<Error> RealResolver::configure() {
    context_.reset(ub_ctx_create());
    if (!context_) return fail("resolver: no memory");
    ub_ctx* context = context_.get();
    ub_ctx_debugout(context, nullptr);  // it would write to standard error
    Status<Error> status = check(ub_ctx_async(context, /*dothread=*/1), "threads");
    auto set = [&](std::span<const Setting> settings) {
        for (const Setting& s : settings) {
            if (status) status = check(ub_ctx_set_option(context, s.name, s.value), s.name);
        }
    };
    set(kSettings);
    if (!options_.forwarders.empty()) set(kForwarderSettings);
    for (const std::string& forwarder : options_.forwarders) {
        if (status) status = check(ub_ctx_set_fwd(context, forwarder.c_str()), forwarder);
    }
    std::string anchor = options_.trust_anchor_file.value_or("");
    std::error_code ignored;
    if (!options_.trust_anchor_file && options_.forwarders.empty() &&
        std::filesystem::exists(kRootKeyFile, ignored)) {
        anchor = kRootKeyFile;
    }
    if (status && !anchor.empty()) {
        status = check_readable(anchor);
        if (status) status = check(ub_ctx_add_ta_file(context, anchor.c_str()), anchor);
    }
    if (status && !options_.root_hints.empty()) {
        status = check_readable(options_.root_hints);
        const char* path = options_.root_hints.c_str();
        if (status) status = check(ub_ctx_set_option(context, "root-hints:", path), path);
    }
    return status;
}

Task<Answer> RealResolver::query(Question question, Deadline deadline) {
    return executor_.run_on(0, ask(std::move(question), deadline));
}

Task<Answer> RealResolver::ask(Question question, Deadline deadline) {
    if (!prepare()) co_return Answer::temporary(Failure::Broken, prepare().error().message);
    deadline = std::min(deadline, Deadline::after(clock_.now(), kQueryTimeMax));
    auto found = flights_.end();
    while (true) {
        if (auto kept = cache_.find(question, clock_.now())) {
            offer_room();  // if it was offered to us, we do not need it
            co_return std::move(*kept);
        }
        found = flights_.find(question);
        if (found != flights_.end() || has_room()) break;
        if (!co_await room_.wait(deadline)) {
            co_return Answer::temporary(Failure::TooMany, "too many questions to DNS are open");
        }
    }
    Seat seat(found != flights_.end() ? found->second : take_off(question));
    offer_room();
    Flight& flight = *seat.flight;
    while (!flight.answer) {
        if (co_await flight.landed.wait(deadline)) continue;
        if (flight.answer) break;
        co_return Answer::temporary(Failure::Timeout,
                                    fmt::format("{}: no answer in time", text(question)));
    }
    co_return *flight.answer;
}

std::shared_ptr<RealResolver::Flight> RealResolver::take_off(const Question& question) {
    auto flight = std::make_shared<Flight>(*this, question);
    flights_.emplace(question, flight);
    int error = ub_resolve_async(context_.get(), question.name.text().c_str(),
                                 static_cast<int>(question.type), kInternetClass, flight.get(),
                                 handle_answer, &flight->id);
    if (error != 0) {
        land(*flight,
             Answer::temporary(Failure::Broken,
                               fmt::format("the resolver does not run: {}", ub_strerror(error))));
    } else if (!watched_) {
        watched_ = shard0_.watch(ub_fd(context_.get()), *this);
    }
    return flight;
}

// Takes all answers that have come, so it need not be told again.
void RealResolver::handle_events(uint32_t /*events*/) { ub_process(context_.get()); }

// Called by ub_process(), never for a cancelled question: `flight` is in the table.
void RealResolver::handle_answer(void* flight, int error, ub_result* result) {
    auto& landing = *static_cast<Flight*>(flight);
    std::unique_ptr<ub_result, void (*)(ub_result*)> owned(result, ub_resolve_free);
    if (error != 0 || !result) {
        landing.resolver.land(landing, Answer::temporary(Failure::ServFail, ub_strerror(error)));
        return;
    }
    Duration took = landing.resolver.clock_.now() - landing.begun;
    landing.resolver.land(landing, answer_of(*result, landing.question, took));
}

void RealResolver::land(Flight& flight, Answer answer) {
    cache_.put(flight.question, answer, clock_.now());
    flight.answer = std::move(answer);
    flight.landed.notify_all();
    Question question = flight.question;
    flights_.erase(question);  // `flight` lives on if somebody waits in it
    offer_room();
}

void RealResolver::leave(Flight& flight) {
    ub_cancel(context_.get(), flight.id);
    Question question = flight.question;
    flights_.erase(question);
    offer_room();
}

// To the one who has waited longest; who does not use it hands it on.
void RealResolver::offer_room() {
    if (has_room() && room_.has_waiters()) room_.notify_one();
}

}  // namespace postrider::world::real
