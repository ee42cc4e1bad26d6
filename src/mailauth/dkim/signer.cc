#include "mailauth/dkim/signer.h"

#include <algorithm>

#include <fmt/format.h>

#include "mailauth/dkim/field_index.h"
#include "mailauth/dkim/header_data.h"
#include "mailauth/dkim/signature.h"
#include "mailauth/dkim/tag_list.h"

namespace postrider::mailauth::dkim {
namespace {

constexpr std::size_t kLineOctetsMax = 78;  // RFC 5322 §2.1.1, without the line end
constexpr std::string_view kFold = "\r\n ";

// Writes the field's tags, beginning a new line where the next piece would not fit.
class FoldedText {
public:
    explicit FoldedText(std::string_view begin) : text_(begin), column_(begin.size()) {}

    // A piece that is never cut, behind a space or the fold that takes its place.
    void word(std::string_view piece) {
        if (column_ + 1 + piece.size() > kLineOctetsMax) {
            fold();
        } else {
            text_ += ' ';
            column_++;
        }
        put(piece);
    }
    // A piece that stands directly behind the last one if it fits there.
    void glued(std::string_view piece) {
        if (column_ + piece.size() > kLineOctetsMax) fold();
        put(piece);
    }
    // Text that may be cut anywhere.
    void cut(std::string_view text) {
        while (!text.empty()) {
            if (column_ >= kLineOctetsMax) fold();
            const std::size_t now = std::min(text.size(), kLineOctetsMax - column_);
            put(text.substr(0, now));
            text.remove_prefix(now);
        }
    }
    std::string take() { return std::move(text_); }

private:
    void fold() {
        text_ += kFold;
        column_ = 1;
    }
    void put(std::string_view piece) {
        text_ += piece;
        column_ += piece.size();
    }

    std::string text_;
    std::size_t column_;
};

// Brings the key's names into the form in which they are written.
Status<> prepare(SigningKey& key) {
    const auto domain = ascii_domain(key.domain);
    if (!domain || !domain->contains('.')) {
        return fail(fmt::format("cannot sign for \"{}\": not a domain name", key.domain));
    }
    const auto selector = ascii_domain(key.selector);
    if (!selector || !key_record_name(*selector, *domain)) {
        return fail(fmt::format("cannot sign with the selector \"{}\" of {}: not a selector",
                                key.selector, *domain));
    }
    key.domain = *domain;
    key.selector = *selector;
    if (!key.identity) return {};
    const std::size_t at = key.identity->rfind('@');
    const auto of = at == std::string::npos
                        ? std::nullopt
                        : ascii_domain(std::string_view(*key.identity).substr(at + 1));
    if (!of || (*of != *domain && !of->ends_with("." + *domain))) {
        return fail(
            fmt::format("cannot sign with the identity \"{}\": not in {}", *key.identity, *domain));
    }
    key.identity = key.identity->substr(0, at + 1) + *of;
    return {};
}

// RFC 6376 §5.4: the names for h=. Each field that is there is named once, so that all are signed.
Result<std::vector<std::string>> names_to_sign(const FieldIndex& index,
                                               const std::vector<SignedField>& fields) {
    std::vector<std::string> names;
    for (const SignedField& field : fields) {
        const std::size_t there = index.count(field.name);
        const bool over = field.oversign == Oversign::Always ||
                          (field.oversign == Oversign::IfPresent && there > 0);
        const std::size_t times = there + (over ? 1 : 0);
        if (names.size() + times > kSignedFieldsMax) {
            return fail(
                fmt::format("the message has more than {} fields to sign", kSignedFieldsMax));
        }
        names.insert(names.end(), times, field.name);
    }
    return names;
}

// RFC 5322 §3.6.8: ftext; and no colon can stand inside h=.
bool is_field_name(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return c > 32 && c < 127 && c != ':' && c != ';';
    });
}

bool is_from(std::string_view name) { return HeaderField{.name = name}.is_named("From"); }

}  // namespace

const std::vector<SignedField>& default_signed_fields() {
    static const std::vector<SignedField> fields = {
        {"From", Oversign::Always},
        {"Sender", Oversign::IfPresent},
        {"Reply-To", Oversign::Always},
        {"To", Oversign::Always},
        {"Cc", Oversign::Always},
        {"Subject", Oversign::Always},
        {"Date", Oversign::IfPresent},
        {"Message-ID", Oversign::IfPresent},
        {"In-Reply-To", Oversign::Always},
        {"References", Oversign::Always},
        {"MIME-Version", Oversign::IfPresent},
        {"Content-Type", Oversign::IfPresent},
        {"Content-Transfer-Encoding", Oversign::IfPresent},
        {"Content-Disposition", Oversign::IfPresent},
        {"Content-ID"},
        {"Content-Description"},
        {"Resent-Date"},
        {"Resent-From"},
        {"Resent-Sender"},
        {"Resent-To"},
        {"Resent-Cc"},
        {"Resent-Message-ID"},
        {"List-Id"},
        {"List-Help"},
        {"List-Unsubscribe"},
        {"List-Unsubscribe-Post"},
        {"List-Subscribe"},
        {"List-Post"},
        {"List-Owner"},
        {"List-Archive"},
    };
    return fields;
}

Signer::Signer(const SignOptions& options, std::vector<SigningKey> keys)
    : header_form_(options.header_form),
      keys_(std::move(keys)),
      header_(HashAlgorithm::Sha256),
      body_(options.body_form, HashAlgorithm::Sha256) {}

Result<Signer> Signer::start(std::string_view header_block, std::vector<SigningKey> keys,
                             const SignOptions& options, Wall now) {
    if (keys.empty()) return fail("there is no key to sign with");
    if (keys.size() > kSigningKeysMax) {
        return fail(fmt::format("more than {} keys to sign one message with", kSigningKeysMax));
    }
    for (SigningKey& key : keys) {
        if (auto done = prepare(key); !done) return std::unexpected(done.error());
    }
    // RFC 6376 §5.4: "the From header field MUST be signed".
    if (std::ranges::none_of(options.fields, is_from, &SignedField::name)) {
        return fail("From is not among the fields to sign");
    }
    for (const SignedField& field : options.fields) {
        if (!is_field_name(field.name)) {
            return fail(
                fmt::format("\"{}\" among the fields to sign is not a field name", field.name));
        }
    }
    if (options.expires_after && *options.expires_after <= std::chrono::seconds(0)) {
        return fail("a signature cannot expire before it is made");
    }
    FieldIndex index(header_block);
    if (index.count("From") == 0) return fail("the message has no From field");
    auto names = names_to_sign(index, options.fields);
    if (!names) return std::unexpected(names.error());

    Signer signer(options, std::move(keys));
    std::string data;
    for (const std::string& name : *names) {
        if (const HeaderField* field = index.take(name)) {
            append_field(options.header_form, *field, data);
        }
    }
    signer.header_.update(data);
    signer.names_ = std::move(*names);
    if (options.timestamp) signer.signed_at_ = now.seconds();
    if (options.expires_after) {
        signer.expires_at_ = now.seconds() + options.expires_after->count();
    }
    return signer;
}

Result<std::string> Signer::finish() {
    body_.finish();
    const std::string body_hash = encode_base64(body_.whole());
    std::string fields;
    for (const SigningKey& key : keys_) {
        std::string text = field_before_b(key, body_hash);
        // What a verifier will see once the value of b= is taken out: it takes the folds inside
        // too.
        std::string data;
        const HeaderField field = *HeaderReader(text).next();
        append_signature_field(header_form_, field, field.value.size(), field.value.size(), data);
        Digest digest(header_);
        digest.update(data);
        auto signature = key.key.sign(digest.finish());
        if (!signature) {
            return fail(
                fmt::format("{} of {}: {}", key.selector, key.domain, signature.error().message));
        }
        const std::size_t line = text.rfind('\n') + 1;
        FoldedText b(std::string_view(text).substr(line));
        b.cut(encode_base64(*signature));
        text.resize(line);
        fields += text + b.take() + "\r\n";
    }
    return fields;
}

// All tags; b= comes last and is empty.
std::string Signer::field_before_b(const SigningKey& key, std::string_view body_hash) const {
    FoldedText text("DKIM-Signature:");
    text.word("v=1;");
    text.word(fmt::format("a={}-sha256;", name(key.key.type())));
    text.word(fmt::format("c={}/{};", name(header_form_), name(body_.form())));
    text.word(fmt::format("d={};", key.domain));
    text.word(fmt::format("s={};", key.selector));
    if (key.identity) text.word(fmt::format("i={};", encode_quoted(*key.identity)));
    if (signed_at_) text.word(fmt::format("t={};", *signed_at_));
    if (expires_at_) text.word(fmt::format("x={};", *expires_at_));
    for (std::size_t i = 0; i < names_.size(); i++) {
        const bool last = i + 1 == names_.size();
        const std::string piece = names_[i] + (last ? ";" : ":");
        if (i == 0) {
            text.word("h=" + piece);
        } else {
            text.glued(piece);
        }
    }
    text.word(fmt::format("bh={};", body_hash));
    text.word("b=");
    return text.take();
}

}  // namespace postrider::mailauth::dkim
