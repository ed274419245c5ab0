// Server-sent events: from bytes as they come to the data of whole events.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace naru::bench {

/// Takes any cut of the bytes. Comments and fields other than "data" and "event" are passed over.
class EventStream {
 public:
  struct Event {
    std::string name;  ///< of the field "event"; mostly empty
    std::string data;
  };

  /// False when a line or an event is longer than any that is meant: the stream is then of no use.
  bool add(std::string_view bytes);
  /// The next whole event, in order.
  std::optional<Event> next();

 private:
  void take_line(std::string_view line);

  std::string buffer_;
  std::size_t read_ = 0;
  Event event_;
  bool has_data_ = false, ready_ = false;
};

}  // namespace naru::bench
