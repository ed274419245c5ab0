// Wire: SOCK_SEQPACKET with a small header; descriptors travel beside the bytes.
#include "backends/plugin/wire.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "graph/fail.h"

namespace naru::plugin {
namespace {

struct Header {
  std::uint32_t call;
  std::int32_t code;
};

constexpr std::size_t kMaxMessage = 128 << 10;
constexpr std::size_t kMaxDescriptors = 4;

void take_descriptors(const msghdr& header, Message& message) {
  auto& mutable_header = const_cast<msghdr&>(header);
  for (cmsghdr* part = CMSG_FIRSTHDR(&mutable_header); part != nullptr; part = CMSG_NXTHDR(&mutable_header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof(int), sizeof number);
      message.descriptors.emplace_back(number);
    }
  }
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

const char* Reader::part(std::size_t size) {
  if (size > payload_.size() - at_) fail(ErrorCode::Device, "plug-in worker: a message is too short");
  const char* data = payload_.data() + at_;
  at_ += size;
  return data;
}

std::pair<Descriptor, Descriptor> make_channel() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    fail(ErrorCode::Device, "plug-in worker: no socket pair: {}", std::strerror(errno));
  }
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

bool send_message(int channel, const Message& message, const std::vector<int>& descriptors) {
  if (message.payload.size() > kMaxMessage || descriptors.size() > kMaxDescriptors) return false;
  Header header{static_cast<std::uint32_t>(message.call), message.code};
  std::array<iovec, 2> parts = {iovec{&header, sizeof header},
                                iovec{const_cast<char*>(message.payload.data()), message.payload.size()}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  msghdr packet{};
  packet.msg_iov = parts.data();
  packet.msg_iovlen = parts.size();
  if (!descriptors.empty()) {
    packet.msg_control = control.data();
    packet.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&packet);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size() * sizeof(int));
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(channel, &packet, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

Received receive_message(int channel, Message& message, std::int64_t timeout_ms) {
  if (timeout_ms >= 0) {
    pollfd entry{channel, POLLIN, 0};
    int ready = 0;
    do {
      ready = poll(&entry, 1, static_cast<int>(timeout_ms));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) return Received::TimedOut;
    if (ready < 0) return Received::Closed;
  }
  Header header{};
  thread_local std::string buffer(kMaxMessage, '\0');
  std::array<iovec, 2> parts = {iovec{&header, sizeof header}, iovec{buffer.data(), buffer.size()}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  msghdr packet{};
  packet.msg_iov = parts.data();
  packet.msg_iovlen = parts.size();
  packet.msg_control = control.data();
  packet.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = recvmsg(channel, &packet, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  message.descriptors.clear();
  if (got > 0) take_descriptors(packet, message);
  if (got < static_cast<ssize_t>(sizeof header)) return Received::Closed;
  message.call = static_cast<Call>(header.call);
  message.code = header.code;
  message.payload.assign(buffer.data(), static_cast<std::size_t>(got) - sizeof header);
  return Received::Message;
}

}  // namespace naru::plugin
