// deliver/pipe_command.h: the operator's command line for a pipe, as words, and the addresses put
// in.
//
// The problem: parts of the command come from strangers (an address may hold blanks, quotes, "$" or
// a leading "-"), and a shell would take them for its own language. So there is no shell: the
// command is split into words once, when the operator wrote it; placeholders are replaced inside
// their word afterwards, and a word stays one word whatever is put in.
//
// Grammar: words are separated by blanks. '...' is taken as it is; in "..." and outside quotes a
// backslash takes the next character as it is. {sender} {recipient} {local} {domain} {extension}
// are replaced; "{{" and "}}" are braces. The first word is an absolute path and has no
// placeholder.
//
// Promise: what is put in never makes an option. A word that begins with a placeholder whose value
// begins with "-" is refused, unless a word "--" stands before it; write `-- {local}` or
// `--user={local}`.
//
// Threads: values.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mail/envelope.h"

namespace postrider::deliver {

// One recipient's addresses, as the program gets them.
struct PipeAddresses {
    std::string sender;     // empty: the null reverse-path
    std::string recipient;  // the whole mailbox
    std::string original;   // as the client named it; empty when that is the same
    std::string local;      // the local part before the delimiter
    std::string extension;  // what stands behind it; empty = none
    std::string domain;
};

// `delimiters`: each of its characters ends the first part of a local part; empty = no extension.
// REQUIRES: recipient < envelope.recipient_count().
PipeAddresses pipe_addresses(const Envelope& envelope, uint32_t recipient,
                             std::string_view delimiters);

class PipeCommand {
public:
    // The error says what is wrong, for the operator.
    static Result<PipeCommand> parse(std::string_view text);

    // The arguments, the program first. Fails when an address would become an option.
    Result<std::vector<std::string>> arguments(const PipeAddresses& addresses) const;

    const std::string& program() const { return words_.front().front().text; }

private:
    // A word is a row of pieces: text, or the value of a placeholder.
    struct Piece {
        std::string text;
        std::string PipeAddresses::* value = nullptr;
    };
    using Word = std::vector<Piece>;
    friend class PipeCommandReader;

    std::vector<Word> words_;
};

}  // namespace postrider::deliver
