// world/real/openssl_words.h: OpenSSL's objects that free themselves, and its errors as words.
//
// Threads: the error queue is the calling thread's.

#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

namespace postrider::world::real {

template <auto Free>
struct OpensslDeleter {
    template <typename T>
    void operator()(T* object) const {
        Free(object);
    }
};

using SslContextRef = std::unique_ptr<SSL_CTX, OpensslDeleter<SSL_CTX_free>>;
using SslRef = std::unique_ptr<SSL, OpensslDeleter<SSL_free>>;
using SslSessionRef = std::unique_ptr<SSL_SESSION, OpensslDeleter<SSL_SESSION_free>>;
using BioRef = std::unique_ptr<BIO, OpensslDeleter<BIO_free_all>>;
using X509Ref = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using KeyRef = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;

// The reason of the oldest error of this thread, in OpenSSL's words; empties the queue.
std::string openssl_words();

// A PEM text to read from. REQUIRES: text outlives it.
BioRef bio_of(const std::string& text);

// Names of a certificate: its subject in one line, its DNS names and mail addresses.
std::string subject_of(X509* certificate);
std::vector<std::string> dns_names_of(X509* certificate);
std::vector<std::string> emails_of(X509* certificate);

}  // namespace postrider::world::real
