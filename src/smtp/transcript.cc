#include "smtp/transcript.h"

#include <fmt/format.h>

#include <algorithm>

namespace postrider::smtp {

namespace {

constexpr std::size_t kHalfOctets = Transcript::kOctetsMax / 2;
constexpr std::size_t kHalfLines = Transcript::kLinesMax / 2;
static_assert(Transcript::kLineOctetsMax < kHalfOctets);

std::string_view mark(Transcript::Who who) {
    switch (who) {
        case Transcript::Who::Client:
            return "C: ";
        case Transcript::Who::Server:
            return "S: ";
        case Transcript::Who::Note:
            return "-- ";
    }
    return "";
}

}  // namespace

void Transcript::sent(std::string_view line) {
    if (line.ends_with("\r\n")) line.remove_suffix(2);
    add(Who::Client, line);
}

void Transcript::received(const Reply& reply) {
    std::string_view rest = reply.text;
    std::string line;
    for (bool last = false; !last;) {
        std::size_t end = rest.find('\n');
        last = end == std::string_view::npos;
        line = fmt::format("{}{}", reply.code, last ? ' ' : '-');
        if (reply.status) line += reply.status->text() + ' ';
        line += rest.substr(0, end);
        while (line.ends_with(' ')) line.pop_back();
        add(Who::Server, line);
        if (!last) rest.remove_prefix(end + 1);
    }
}

void Transcript::note(std::string_view text) { add(Who::Note, text); }

void Transcript::add(Who who, std::string_view text) {
    text = text.substr(0, kLineOctetsMax);
    if (!head_full_ && head_.size() < kHalfLines && head_octets_ + text.size() <= kHalfOctets) {
        head_octets_ += text.size();
        head_.push_back({who, std::string(text), std::nullopt});
        return;
    }
    head_full_ = true;  // what follows goes to the tail, or the order would be lost
    tail_octets_ += text.size();
    tail_.push_back({who, std::string(text), std::nullopt});
    while (tail_octets_ > kHalfOctets || tail_.size() > kHalfLines) {
        tail_octets_ -= tail_.front().text.size();
        tail_.pop_front();
        ++left_out_;
    }
}

void Transcript::stamp(Wall now) {
    auto stamp_back = [&](auto& lines) {
        for (auto line = lines.rbegin(); line != lines.rend() && !line->at; ++line) line->at = now;
    };
    stamp_back(tail_);
    stamp_back(head_);
}

std::vector<Transcript::Line> Transcript::lines() const {
    std::vector<Line> all = head_;
    if (left_out_ > 0) {
        all.push_back({Who::Note, fmt::format("{} lines left out", left_out_), tail_.front().at});
    }
    all.insert(all.end(), tail_.begin(), tail_.end());
    return all;
}

std::string Transcript::text() const {
    std::string out;
    for (const Line& line : lines()) out.append(mark(line.who)).append(line.text).append("\n");
    return out;
}

}  // namespace postrider::smtp
