#include "cli/send.h"

#include <fmt/format.h>

#include <array>

#include "base/id.h"
#include "mail/trace.h"
#include "smtp/client_session.h"
#include "smtp/data_encoder.h"

namespace postrider::cli {

namespace {

constexpr auto kConnectTime = std::chrono::seconds(30);

// Any line ends become CRLF.
std::string with_crlf(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out += '\r';
        out += text[i];
    }
    if (!out.ends_with("\r\n")) out += "\r\n";
    return out;
}

std::string composed(world::World& world, const SendOptions& options) {
    if (!options.message.empty()) return with_crlf(options.message);
    MessageIdSource ids(0, MessageId{0});
    Wall now = world.clock.wall();
    std::string to;
    for (const auto& one : options.to) to += (to.empty() ? "" : ", ") + one;
    return with_crlf(
        fmt::format("Date: {}\nFrom: <{}>\nTo: {}\nSubject: {}\nMessage-ID: <{}@{}>\n"
                    "\n{}",
                    date_time(now), options.from, to, without_controls(options.subject),
                    ids.next(now).text(), options.hello_name, options.body));
}

void show(const Console& console, std::string_view who, std::string_view bytes) {
    while (!bytes.empty()) {
        std::size_t end = std::min(bytes.find('\n'), bytes.size() - 1) + 1;
        std::string_view line = bytes.substr(0, end);
        bytes.remove_prefix(end);
        while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
        console.out(fmt::format("{} {}\n", who, without_controls(line)));
    }
}

Result<smtp::TransactionRequest> request_of(const SendOptions& options, std::string_view content) {
    smtp::TransactionRequest request;
    request.content_octets = content.size();
    if (!options.from.empty()) {
        auto from = Mailbox::parse(options.from, AddressForm::Utf8);
        if (!from) return fail("--from " + options.from + ": " + from.error().message);
        request.smtputf8 = !from->is_ascii();
        request.reverse_path.mailbox = std::move(*from);
    }
    for (const auto& text : options.to) {
        auto to = Mailbox::parse(text, AddressForm::Utf8);
        if (!to) return fail("--to " + text + ": " + to.error().message);
        request.smtputf8 = request.smtputf8 || !to->is_ascii();
        Recipient recipient;
        recipient.mailbox = std::move(*to);
        request.recipients.push_back(std::move(recipient));
    }
    for (char c : content) {
        if (static_cast<unsigned char>(c) > 127) request.body = BodyType::EightBitMime;
    }
    return request;
}

// One connection, one message, everything shown.
class Dialogue {
public:
    Dialogue(world::World& world, world::Stream& stream, Console& console, SendOptions& options,
             std::string content, smtp::TransactionRequest request)
        : world_(world),
          stream_(stream),
          console_(console),
          content_(std::move(content)),
          request_(std::move(request)),
          session_({.mode = options.lmtp ? smtp::ClientMode::Lmtp : smtp::ClientMode::Smtp,
                    .hello_name = options.hello_name}) {}

    Task<int> run() {
        while (true) {
            smtp::Action action = session_.next_action();
            if (auto* send = std::get_if<smtp::action::Send>(&action)) {
                show(console_, "C:", send->bytes);
                co_await write(send->bytes);
            } else if (auto* need = std::get_if<smtp::action::NeedReply>(&action)) {
                co_await read(smtp::timeout_of(need->waiting_for));
            } else if (std::get_if<smtp::action::SendContent>(&action)) {
                co_await write_content();
            } else if (auto* done = std::get_if<smtp::action::TransactionDone>(&action)) {
                tell(done->results);
            } else if (std::get_if<smtp::action::Ready>(&action)) {
                if (begun_) {
                    session_.quit();
                } else {
                    begun_ = true;
                    session_.begin(std::move(request_));
                }
            } else {
                if (!begun_) {
                    auto& closed = std::get<smtp::action::Closed>(action);
                    console_.err("postrider: " + closed.reason.text() + "\n");
                }
                stream_.close();
                co_return !begun_ ? kExitUnavailable : accepted_ ? kExitOk : kExitFailed;
            }
        }
    }

private:
    Task<void> write(std::string_view bytes) {
        std::array<std::string_view, 1> pieces{bytes};
        auto written = co_await stream_.write(
            pieces, Deadline::after(world_.clock.now(), smtp::timeout_of(smtp::ClientWait::Mail)));
        if (!written) session_.handle_end_of_stream(written.error().message);
    }

    Task<void> write_content() {
        auto wire = encoded();
        if (!wire) {
            session_.content_failed({EnhancedStatus{5, 6, 0}, wire.error().text()});
            co_return;
        }
        console_.out(fmt::format("C: ({} octets of content, then a dot)\n", content_.size()));
        std::array<std::string_view, 1> pieces{*wire};
        auto written = co_await stream_.write(
            pieces,
            Deadline::after(world_.clock.now(), smtp::timeout_of(smtp::ClientWait::DataBlock)));
        if (written) {
            session_.content_sent(content_.size());
        } else {
            session_.handle_end_of_stream(written.error().message);
        }
    }

    Result<std::string, smtp::ContentFault> encoded() const {
        smtp::DataEncoder encoder;
        std::string wire;
        std::array<std::string_view, 64> pieces;
        std::string_view rest = content_;
        while (!rest.empty()) {
            auto part = encoder.encode(rest, pieces);
            if (!part) return std::unexpected(part.error());
            for (std::size_t i = 0; i < part->pieces; i++) wire += pieces[i];
            rest.remove_prefix(part->consumed);
        }
        auto end = encoder.finish();
        if (!end) return std::unexpected(end.error());
        return wire.append(*end);
    }

    Task<void> read(Duration patience) {
        std::array<char, 4096> block;
        auto got = co_await stream_.read(block, Deadline::after(world_.clock.now(), patience));
        if (!got) {
            if (got.error().kind == world::NetError::Kind::TimedOut) {
                session_.handle_timeout();
            } else {
                session_.handle_end_of_stream(got.error().message);
            }
        } else if (*got == 0) {
            session_.handle_end_of_stream();
        } else {
            show(console_, "S:", {block.data(), *got});
            session_.handle_bytes({block.data(), *got});
        }
    }

    void tell(const std::vector<smtp::TransactionResult>& results) {
        accepted_ = true;
        for (const auto& result : results) {
            if (result.state == smtp::TransactionResult::State::Accepted) continue;
            accepted_ = false;
            console_.err("postrider: not accepted: " + result.text() + "\n");
        }
    }

    world::World& world_;
    world::Stream& stream_;
    Console& console_;
    std::string content_;
    smtp::TransactionRequest request_;
    smtp::ClientSession session_;
    bool begun_ = false;
    bool accepted_ = false;
};

}  // namespace

Task<int> send(world::World& world, SendOptions options, Console console) {
    std::string content = composed(world, options);
    auto request = request_of(options, content);
    if (!request) {
        console.err("postrider: " + request.error().message + "\n");
        co_return kExitUsage;
    }
    auto stream = co_await world.net.connect(options.server, std::nullopt,
                                             Deadline::after(world.clock.now(), kConnectTime));
    if (!stream) {
        console.err("postrider: " + stream.error().message + "\n");
        co_return kExitUnavailable;
    }
    Dialogue dialogue(world, **stream, console, options, std::move(content), std::move(*request));
    co_return co_await dialogue.run();
}

}  // namespace postrider::cli
