#include "deliver/pipe.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "deliver/line_ends.h"
#include "deliver/pipe_command.h"
#include "deliver/pipe_results.h"
#include "mail/trace.h"

namespace postrider::deliver {

namespace {

constexpr std::size_t kBlockOctets = 64 * 1024;

std::string variable(std::string_view name, std::string_view value) {
    // Addresses and names have bounds of their own; this one holds whatever else may come.
    return std::string(name) + "=" + without_controls(value.substr(0, kPathOctetsMax * 4));
}

std::vector<std::string> environment_of(const PipeJob& job, const PipeAddresses& addresses) {
    const ClientFacts& client = job.envelope->client;
    return {variable("PATH", job.search_path),
            variable("HOME", job.directory),
            variable("SENDER", addresses.sender),
            variable("RECIPIENT", addresses.recipient),
            variable("ORIGINAL_RECIPIENT",
                     addresses.original.empty() ? addresses.recipient : addresses.original),
            variable("LOCAL", addresses.local),
            variable("EXTENSION", addresses.extension),
            variable("DOMAIN", addresses.domain),
            variable("MESSAGE_ID", job.envelope->id.text()),
            variable("CLIENT_ADDRESS", client.address),
            variable("CLIENT_HELO", client.helo),
            variable("CLIENT_PROTOCOL", client.protocol)};
}

// The message as the program reads it, piece by piece.
class PipeInput {
public:
    explicit PipeInput(const PipeJob& job)
        : content_(*job.content), to_lf_(job.envelope->body != BodyType::BinaryMime) {
        const Variant& variant = job.envelope->variant_of(job.recipient);
        std::string fields = return_path_field(variant.reverse_path) +
                             delivered_to_field(job.envelope->recipient(job.recipient).mailbox) +
                             variant.prefix;
        if (to_lf_) {
            append_with_lf(piece_, fields);
        } else {
            piece_ = std::move(fields);
        }
        has_fields_ = true;
    }

    Task<Result<std::string_view>> next() {
        if (std::exchange(has_fields_, false)) co_return std::string_view(piece_);
        piece_.clear();
        block_.resize(kBlockOctets);
        while (piece_.empty() && in_ < content_.size()) {
            auto got = co_await content_.read(in_, block_);
            if (!got) co_return std::unexpected(got.error());
            if (*got == 0) co_return fail("it is shorter than it should be");
            in_ += *got;
            if (!to_lf_) co_return std::string_view(block_.data(), *got);
            std::string_view text = converter_.convert(block_, *got);
            if (!converter_.cr_first()) {
                if (!text.empty()) co_return text;
                continue;  // a lone CR, kept for later
            }
            piece_ = "\r";
            piece_ += text;
        }
        if (piece_.empty() && to_lf_ && !std::exchange(ended_, true) && converter_.cr_at_end()) {
            piece_ = "\r";
        }
        co_return std::string_view(piece_);
    }

private:
    ContentReader& content_;
    const bool to_lf_;
    std::string piece_;
    std::vector<char> block_;
    LfConverter converter_;
    uint64_t in_ = 0;
    bool has_fields_ = false;
    bool ended_ = false;
};

}  // namespace

Task<RecipientResult> deliver_to_pipe(world::World& world, PipeJob job) {
    assert(job.recipient < job.envelope->recipient_count());
    RecipientResult refused{.recipient = job.recipient};
    auto command = PipeCommand::parse(job.command);
    if (!command) {
        refused.status = {4, 3, 5};
        refused.reason = "the command of this mailbox is misconfigured";
        refused.detail = command.error().message;
        co_return refused;
    }
    PipeAddresses addresses = pipe_addresses(*job.envelope, job.recipient, job.delimiters);
    auto arguments = command->arguments(addresses);
    if (!arguments) {
        refused.verdict = RecipientResult::Verdict::Permanent;
        refused.status = {5, 1, 3};
        refused.reason = arguments.error().message;
        co_return refused;
    }

    PipeInput input(job);
    world::ProcessRequest request{.arguments = std::move(*arguments),
                                  .environment = environment_of(job, addresses),
                                  .directory = job.directory,
                                  .output_octets_max = kPipeOutputOctetsMax,
                                  .deadline = Deadline::after(world.clock.now(), job.time_max)};
    world::ProcessInput next = [&input] { return input.next(); };
    world::ProcessEnd end = co_await world.process.run(std::move(request), std::move(next));
    co_return pipe_result(job.recipient, end);
}

}  // namespace postrider::deliver
