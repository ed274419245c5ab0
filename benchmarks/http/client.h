// HttpClient: many streamed requests on one thread, over libcurl.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/log/event.h"

namespace naru::bench {

struct HttpRequest {
  std::string url;                   ///< http or https
  std::string body;                  ///< POST; without one GET
  std::vector<std::string> headers;  ///< "Name: value"
  std::int64_t stall_ns = 120'000'000'000;  ///< without a byte for so long it is over
};

/// How a transfer ended. Reason::None: the whole answer came, whatever its status.
struct HttpEnd {
  Reason reason = Reason::None;
  long status = 0;
  std::string detail;
};

/// Receives one answer, on the client's thread.
class HttpReceiver {
 public:
  virtual ~HttpReceiver() = default;
  /// Bytes of the answer's body as they come; false breaks the transfer off.
  virtual bool data(long status, std::string_view bytes) = 0;
  /// Called once, last.
  virtual void end(const HttpEnd& end) = 0;
};

/// Thread-safe. Connections are kept and used again; no proxies, no redirects.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  void start(HttpRequest request, std::unique_ptr<HttpReceiver> receiver);
  /// Breaks all transfers off: they end with Reason::Interrupted.
  void cancel_all();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

/// A short answer as a whole. @throws Failure Connection, HttpStatus, BadStream.
std::string http_fetch(HttpClient& client, HttpRequest request);

/// @throws Error InvalidArgument unless it is http:// or https:// without user, query and fragment.
std::string checked_base_url(std::string url);

}  // namespace naru::bench
