#include "sim/internet/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "daemon/config_values.h"
#include "daemon/toml.h"

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

constexpr std::array<std::string_view, kGoals> kGoalWords{"mailbox", "neighbour", "foreign", "list",
                                                          "refused", "unknown",   "nowhere", "dead",
                                                          "bounced", "poison",    "circle"};

constexpr std::array<std::string_view, 3> kDemandWords{"nothing", "tls", "certificate"};

constexpr std::array<std::string_view, kFaultKinds> kFaultWords{
    "power-loss",  "kill",      "stop",       "crash-loop",      "suspend",  "clock-jump",
    "disk-full",   "disk-slow", "disk-fails", "disk-read-fails", "bit-rot",  "backup",
    "cut",         "partition", "black-hole", "reset",           "dns-down", "dns-fails",
    "dns-changes", "dns-lies",  "manners"};

struct MannerWord {
    std::string_view word;
    void (*add)(Manners&);
};

constexpr MannerWord kManners[] = {
    {"polite", [](Manners&) {}},
    {"greylisting", [](Manners& m) { m.greylisted = 90s; }},
    {"busy", [](Manners& m) { m.put_off_times = 2; }},
    {"few-recipients", [](Manners& m) { m.recipients_max = 2; }},
    {"few-per-connection", [](Manners& m) { m.recipients_per_connection = 3; }},
    {"slow", [](Manners& m) { m.pause = 400ms; }},
    {"slow-end", [](Manners& m) { m.end_pause = 5s; }},
    {"by-octets", [](Manners& m) { m.by_octets = true; }},
    {"no-pipelining", [](Manners& m) { m.pipelining = false; }},
    {"many-lines", [](Manners& m) { m.many_lines = true; }},
    {"says-421",
     [](Manners& m) {
         m.closes_at = FarStep::Rcpt;
         m.closes_per_1000 = 100;
     }},
    {"says-421-at-greeting",
     [](Manners& m) {
         m.closes_at = FarStep::Greeting;
         m.closes_per_1000 = 300;
     }},
    {"says-421-at-end",
     [](Manners& m) {
         m.closes_at = FarStep::End;
         m.closes_per_1000 = 100;
     }},
    {"cuts",
     [](Manners& m) {
         m.cuts_at = FarStep::Data;
         m.cuts_per_1000 = 100;
     }},
    {"cuts-at-end",
     [](Manners& m) {
         m.cuts_at = FarStep::End;
         m.cuts_per_1000 = 100;
     }},
    {"drops-reply", [](Manners& m) { m.drops_reply_per_1000 = 60; }},
    {"wrong-codes", [](Manners& m) { m.wrong_codes_per_1000 = 50; }},
    {"garbage", [](Manners& m) { m.garbage_per_1000 = 50; }},
    {"throttles", [](Manners& m) { m.per_minute_max = 30; }},
    {"few-connections", [](Manners& m) { m.connections_max = 2; }},
    {"hangs", [](Manners& m) { m.hangs = true; }},
    {"tls", [](Manners& m) { m.tls = true; }},
    {"tls-stripped",
     [](Manners& m) {
         m.tls = true;
         m.tls_stripped_per_1000 = 300;
     }},
    {"tls-refused",
     [](Manners& m) {
         m.tls = true;
         m.tls_refused_per_1000 = 200;
     }},
    {"tls-fails",
     [](Manners& m) {
         m.tls = true;
         m.tls_failed_per_1000 = 200;
     }},
    {"tls-wrong",
     [](Manners& m) {
         m.tls = true;
         m.tls_wrong_per_1000 = 300;
     }},
};

template <typename Words>
std::optional<std::size_t> place_of(const Words& words, std::string_view word) {
    auto found = std::ranges::find(words, word);
    if (found == std::end(words)) return std::nullopt;
    return std::size_t(found - std::begin(words));
}

// Reads keys of one table, and remembers the first mistake.
class Reader {
public:
    Reader(const toml::table& table, std::string where, std::string& mistake)
        : table_(table), where_(std::move(where)), mistake_(mistake) {}
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader() {
        for (const auto& [key, value] : table_) {
            if (std::ranges::find(known_, key.str()) == known_.end())
                wrong(key.str(), "no such key");
        }
    }

    void read(std::string_view key, Duration& into) {
        auto* node = take(key);
        if (!node) return;
        auto text = node->value<std::string>();
        auto parsed = text ? daemon::parse_duration(*text)
                           : Result<Duration>(fail("a duration such as \"10m\" is wanted"));
        if (!parsed) return wrong(key, parsed.error().message);
        into = *parsed;
    }
    void read(std::string_view key, std::string& into) {
        if (auto* node = take(key)) {
            auto text = node->value<std::string>();
            if (!text) return wrong(key, "a text is wanted");
            into = *text;
        }
    }
    void read(std::string_view key, bool& into) {
        if (auto* node = take(key)) {
            auto value = node->value<bool>();
            if (!value) return wrong(key, "true or false is wanted");
            into = *value;
        }
    }
    template <std::integral Number>
    void read(std::string_view key, Number& into, int64_t min, int64_t max) {
        if (auto* node = take(key)) {
            auto value = node->value<int64_t>();
            if (!value || *value < min || *value > max)
                return wrong(key, fmt::format("a number from {} to {} is wanted", min, max));
            into = static_cast<Number>(*value);
        }
    }
    const toml::node* take(std::string_view key) {
        known_.emplace_back(key);
        return table_.get(key);
    }
    void wrong(std::string_view key, std::string_view what) {
        if (mistake_.empty()) mistake_ = fmt::format("{}{}: {}", where_, key, what);
    }

private:
    const toml::table& table_;
    std::string where_;
    std::string& mistake_;
    std::vector<std::string> known_;
};

void read_mail(const toml::table& table, MailPlan& mail, std::string& mistake) {
    Reader reader(table, "mail.", mistake);
    reader.read("sessions", mail.sessions, 1, 1000);
    reader.read("per_hour", mail.per_hour, 0, 1'000'000);
    reader.read("burst", mail.burst, 1, 100'000);
    reader.read("recipients_max", mail.recipients_max, 1, 900);
    reader.read("octets_max", mail.octets_max, 100, 10'000'000);
    reader.read("large_per_1000", mail.large_per_1000, 0, 1000);
    reader.read("null_per_1000", mail.null_per_1000, 0, 1000);
    reader.read("far_travelled_per_1000", mail.far_travelled_per_1000, 0, 1000);
    reader.read("foreign_sender_per_1000", mail.foreign_sender_per_1000, 0, 1000);
    reader.read("neighbour_sender_per_1000", mail.neighbour_sender_per_1000, 0, 1000);
    reader.read("reply_time", mail.reply_time);
    reader.read("pause_max", mail.pause_max);
    auto* to = reader.take("to");
    if (!to || !to->as_table()) return reader.wrong("to", "a table of shares is wanted");
    Reader shares(*to->as_table(), "mail.to.", mistake);
    for (std::size_t i = 0; i < kGoalWords.size(); i++) {
        mail.shares[i] = 0;
        shares.read(kGoalWords[i], mail.shares[i], 0, 1000);
    }
}

void read_foreign(const toml::table& table, ForeignPlan& plan, std::string& mistake) {
    Reader reader(table, "foreign.", mistake);
    reader.read("name", plan.name);
    reader.read("count", plan.count, 1, 50);
    std::string demand(kDemandWords.front());
    reader.read("demand", demand);
    auto place = place_of(kDemandWords, demand);
    if (!place) return reader.wrong("demand", "no such demand: " + demand);
    plan.demand = Demand(*place);
    auto* manners = reader.take("manners");
    if (!manners) return;
    if (!manners->as_array()) return reader.wrong("manners", "a list of words is wanted");
    for (const auto& node : *manners->as_array()) {
        auto text = node.value<std::string>().value_or("");
        Manners any;
        if (!add_manner(any, text)) reader.wrong("manners", "no such manner: " + text);
        plan.manners.push_back(std::move(text));
    }
}

void read_fault(const toml::table& table, FaultPlan& plan, std::string& mistake) {
    Reader reader(table, "fault.", mistake);
    std::string kind;
    reader.read("kind", kind);
    auto place = place_of(kFaultWords, kind);
    if (!place) return reader.wrong("kind", "no such fault: " + kind);
    plan.kind = FaultKind(*place);
    reader.read("every", plan.every);
    reader.read("lasts", plan.lasts);
    if (plan.every < 1ms) reader.wrong("every", "at least 1ms is wanted");
}

template <typename Plan>
void read_list(Reader& reader, std::string_view key, std::vector<Plan>& into,
               void (*read)(const toml::table&, Plan&, std::string&), std::string& mistake) {
    auto* list = reader.take(key);
    if (!list) return;
    if (!list->as_array()) return reader.wrong(key, "a list of tables is wanted");
    for (const auto& node : *list->as_array()) {
        if (!node.as_table()) return reader.wrong(key, "a list of tables is wanted");
        read(*node.as_table(), into.emplace_back(), mistake);
    }
}

Result<Scenario> read(const toml::table& table, const std::string& name) {
    Scenario out;
    out.name = name;
    std::string mistake;
    {
        Reader reader(table, "", mistake);
        reader.read("about", out.about);
        reader.read("length", out.length);
        reader.read("soak_length", out.soak_length);
        reader.read("soak_runs", out.soak_runs, 0, 10'000);
        reader.read("rest_every", out.rest_every);
        reader.read("rest_max", out.rest_max);
        reader.read("latency_max", out.latency_max);
        reader.read("segment_max", out.segment_max, 1, 65'536);
        reader.read("may_expire", out.may_expire);
        reader.read("expects_violations", out.expects_violations);
        reader.read("forget_sync", out.forget_sync);
        reader.read("forget_directory_sync", out.forget_directory_sync);
        if (auto* node = reader.take("postriders"); node && node->as_table()) {
            Reader plan(*node->as_table(), "postriders.", mistake);
            plan.read("count", out.postriders.count, 1, 9);
            plan.read("shards", out.postriders.shards, 1, 8);
            plan.read("tls", out.postriders.tls);
            plan.read("general", out.postriders.general);
            plan.read("smtp", out.postriders.smtp);
            plan.read("queue", out.postriders.queue);
        }
        auto* mail = reader.take("mail");
        if (mail && mail->as_table()) {
            read_mail(*mail->as_table(), out.mail, mistake);
        } else {
            reader.wrong("mail", "is missing");
        }
        read_list(reader, "foreign", out.foreign, read_foreign, mistake);
        read_list(reader, "fault", out.faults, read_fault, mistake);
        if (out.rest_every < 1ms) reader.wrong("rest_every", "at least 1ms is wanted");
    }
    if (!mistake.empty()) return fail(name + ": " + mistake);
    return out;
}

}  // namespace

std::string_view word(FaultKind kind) { return kFaultWords[std::size_t(kind)]; }
std::string_view word(Goal goal) { return kGoalWords[std::size_t(goal)]; }

bool add_manner(Manners& manners, std::string_view word) {
    auto* found = std::ranges::find(kManners, word, &MannerWord::word);
    if (found == std::end(kManners)) return false;
    found->add(manners);
    return true;
}

std::vector<std::string_view> manner_words() {
    std::vector<std::string_view> out;
    for (const MannerWord& manner : kManners) out.push_back(manner.word);
    return out;
}

Result<Scenario> Scenario::parse(std::string_view text, const std::string& name) {
    try {
        return read(toml::parse(text), name);
    } catch (const toml::parse_error& error) {
        return fail(fmt::format("{}:{}: {}", name, error.source().begin.line, error.description()));
    } catch (const daemon::TomlFault&) {
        return fail(name + ": not TOML");
    }
}

std::string Scenario::text() const {
    auto time = [](Duration duration) { return daemon::duration_text(duration); };
    std::string out = fmt::format(
        "about = '''{}'''\nlength = \"{}\"\nsoak_length = \"{}\"\nsoak_runs = {}\nrest_every = "
        "\"{}\"\nrest_max = \"{}\"\n"
        "latency_max = \"{}\"\nsegment_max = {}\nmay_expire = {}\nexpects_violations = {}\n"
        "forget_sync = {}\nforget_directory_sync = {}\n\n"
        "[postriders]\ncount = {}\nshards = {}\ntls = {}\ngeneral = '''{}'''\nsmtp = '''{}'''\n"
        "queue = '''{}'''\n",
        about, time(length), time(soak_length), soak_runs, time(rest_every), time(rest_max),
        time(latency_max), segment_max, may_expire, expects_violations, forget_sync,
        forget_directory_sync, postriders.count, postriders.shards, postriders.tls,
        postriders.general, postriders.smtp, postriders.queue);
    out += fmt::format(
        "\n[mail]\nsessions = {}\nper_hour = {}\nburst = {}\nrecipients_max = {}\n"
        "octets_max = {}\nlarge_per_1000 = {}\nnull_per_1000 = {}\nfar_travelled_per_1000 = {}\n"
        "foreign_sender_per_1000 = {}\nneighbour_sender_per_1000 = {}\nreply_time = \"{}\"\n"
        "pause_max = \"{}\"\nto = {{",
        mail.sessions, mail.per_hour, mail.burst, mail.recipients_max, mail.octets_max,
        mail.large_per_1000, mail.null_per_1000, mail.far_travelled_per_1000,
        mail.foreign_sender_per_1000, mail.neighbour_sender_per_1000, time(mail.reply_time),
        time(mail.pause_max));
    std::string_view comma = "";
    for (std::size_t i = 0; i < kGoalWords.size(); i++) {
        if (mail.shares[i] == 0) continue;
        out += fmt::format("{}{} = {}", comma, kGoalWords[i], mail.shares[i]);
        comma = ", ";
    }
    out += "}\n";
    for (const ForeignPlan& plan : foreign) {
        out += fmt::format("\n[[foreign]]\nname = \"{}\"\ncount = {}\ndemand = \"{}\"\nmanners = [",
                           plan.name, plan.count, kDemandWords[std::size_t(plan.demand)]);
        comma = "";
        for (const std::string& manner : plan.manners) {
            out += fmt::format("{}\"{}\"", comma, manner);
            comma = ", ";
        }
        out += "]\n";
    }
    for (const FaultPlan& plan : faults) {
        out += fmt::format("\n[[fault]]\nkind = \"{}\"\nevery = \"{}\"\nlasts = \"{}\"\n",
                           word(plan.kind), time(plan.every), time(plan.lasts));
    }
    return out;
}

}  // namespace postrider::sim
