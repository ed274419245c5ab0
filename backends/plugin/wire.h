// Wire: messages between the host and a worker process, over a pair of sockets.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace naru::plugin {

enum class Call : std::uint32_t { Open, Channel, Map, Support, Compile, Destroy, Submit, Telemetry, Save, Load };

/// A descriptor that is closed unless it is released.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

/// A call or its answer. `code` is 0 (NARU_OK) or a failure, whose text is the payload.
struct Message {
  Call call = Call::Open;
  std::int32_t code = 0;
  std::string payload;
  std::vector<Descriptor> descriptors;

  template <typename T>
  Message& put(const T& value) {
    payload.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
};

/// Takes values out of a payload. @throws Error Device when it is too short.
class Reader {
 public:
  explicit Reader(const std::string& payload) : payload_(payload) {}
  template <typename T>
  T take() {
    T value;
    std::memcpy(&value, part(sizeof value), sizeof value);
    return value;
  }
  std::string rest() { return payload_.substr(at_); }

 private:
  const char* part(std::size_t size);
  const std::string& payload_;
  std::size_t at_ = 0;
};

/// Both ends of a channel that keeps message boundaries. @throws Error Device.
std::pair<Descriptor, Descriptor> make_channel();

/// False when the other side is gone.
bool send_message(int channel, const Message& message, const std::vector<int>& descriptors = {});

enum class Received { Message, Closed, TimedOut };
/// `timeout_ms` < 0 waits for ever.
Received receive_message(int channel, Message& message, std::int64_t timeout_ms);

}  // namespace naru::plugin
