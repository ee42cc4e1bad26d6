#include "tests/program/name_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace postrider {

namespace {

constexpr int kTriesMax = 300;  // of a fifth of a second
constexpr const char* kZones[] = {"example", "2.0.192.in-addr.arpa", "test"};

sockaddr_in loopback(uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

uint16_t free_port() {
    int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in at = loopback(0);
    socklen_t size = sizeof at;
    ::bind(fd, reinterpret_cast<sockaddr*>(&at), size);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    ::close(fd);
    return ntohs(at.sin_port);
}

std::string peers() {
    const char* set = std::getenv("POSTRIDER_PEERS");
    return std::string(set ? set : POSTRIDER_SOURCE_DIR "/build/peers") + "/nsd";
}

std::string libraries() { return peers() + "/usr/lib/x86_64-linux-gnu"; }

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string configuration(const std::string& directory, uint16_t port) {
    std::string text = fmt::format(
        "server:\n  ip-address: 127.0.0.1\n  port: {1}\n  username: \"\"\n  chroot: \"\"\n"
        "  server-count: 1\n  database: \"\"\n  zonesdir: \"{2}/tests/program/zones\"\n"
        "  pidfile: \"{0}/pid\"\n  xfrdfile: \"{0}/xfrd\"\n  zonelistfile: \"{0}/zones\"\n"
        "  xfrdir: \"{0}\"\n  logfile: \"{0}/log\"\n  round-robin: no\n"
        "remote-control:\n  control-enable: no\n",
        directory, port, POSTRIDER_SOURCE_DIR);
    for (const char* zone : kZones) {
        text += fmt::format("zone:\n  name: \"{0}\"\n  zonefile: \"{0}.zone\"\n", zone);
    }
    return text;
}

}  // namespace

NameServer::NameServer() : port_(free_port()) {
    std::string pattern = (std::filesystem::temp_directory_path() / "prnsdXXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
}

NameServer::~NameServer() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

Status<Error> NameServer::start() {
    std::string program = peers() + "/usr/sbin/nsd";
    if (::access(program.c_str(), X_OK) != 0) {
        return fail(program + " is missing: tools/peers nsd unpacks it");
    }
    std::string path = directory_ + "/nsd.conf";
    std::ofstream(path) << configuration(directory_, port_) << more_zones_;
    std::string path_of_libraries = libraries();
    process_ = ::fork();
    if (process_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        ::setpgid(0, 0);  // its children go with it
        ::setenv("LD_LIBRARY_PATH", path_of_libraries.c_str(), 1);
        ::execl(program.c_str(), program.c_str(), "-d", "-c", path.c_str(), nullptr);
        ::_exit(127);
    }
    ::setpgid(process_, process_);
    return wait_until_it_answers();
}

Status<Error> NameServer::sign_zones() {
    auto status = sign("secure");
    if (status) status = sign("altered");
    if (!status) return status;
    std::string path = directory_ + "/altered.zone";
    std::string zone = read_file(path);
    constexpr std::string_view kAddress = "192.0.2.1\n";
    std::size_t at = zone.find(kAddress);
    if (at == std::string::npos) return fail("the signed zone has another form than expected");
    zone.replace(at, kAddress.size(), "192.0.2.66\n");
    std::ofstream(path) << zone;
    return {};
}

// With the tools of ldns, which come with NSD's folder.
Status<Error> NameServer::sign(const std::string& zone) {
    std::string command = fmt::format(
        "cd {0} && export LD_LIBRARY_PATH={1} && "
        "key=$({2}/usr/bin/ldns-keygen -a ECDSAP256SHA256 -k {3}) && cat $key.key >> anchors && "
        "{2}/usr/bin/ldns-signzone -o {3} -f {3}.zone {4}/tests/program/zones/signed.zone $key",
        directory_, libraries(), peers(), zone, POSTRIDER_SOURCE_DIR);
    if (std::system(command.c_str()) != 0) return fail("a zone could not be signed: " + command);
    more_zones_ +=
        fmt::format("zone:\n  name: \"{0}\"\n  zonefile: \"{1}/{0}.zone\"\n", zone, directory_);
    return {};
}

void NameServer::kill() {
    if (process_ <= 0) return;
    ::kill(-process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
}

Status<Error> NameServer::wait_until_it_answers() {
    // The SOA of "example".
    constexpr std::array<uint8_t, 25> kQuestion = {
        0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 6, 0, 1};
    int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in at = loopback(port_);
    timeval fifth{.tv_sec = 0, .tv_usec = 200'000};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &fifth, sizeof fifth);
    bool answered = false;
    for (int i = 0; i < kTriesMax && !answered; i++) {
        std::array<char, 512> reply{};
        ::sendto(fd, kQuestion.data(), kQuestion.size(), 0, reinterpret_cast<sockaddr*>(&at),
                 sizeof at);
        answered = ::recv(fd, reply.data(), reply.size(), 0) > 12 && (reply[3] & 15) == 0;
        if (!answered && ::waitpid(process_, nullptr, WNOHANG) != 0) break;
    }
    ::close(fd);
    if (answered) return {};
    return fail("NSD does not answer: " + read_file(directory_ + "/log"));
}

}  // namespace postrider
