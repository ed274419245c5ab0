// One thread drives libcurl's multi interface; requests reach it through a queue.
#include "benchmarks/http/client.h"

#include <curl/curl.h>

#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "benchmarks/sut/system.h"
#include "graph/fail.h"
#include "runtime/event_log.h"

namespace naru::bench {
namespace {

// What a short answer, or the text of an error, may hold.
constexpr std::size_t kMaxAnswerBytes = 64 << 20, kMaxErrorBytes = 400;
constexpr int kPollMs = 100;

struct CurlDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// One request under way.
struct Transfer {
  HttpRequest request;
  std::unique_ptr<HttpReceiver> receiver;
  std::unique_ptr<CURL, CurlDeleter> easy;
  std::unique_ptr<curl_slist, CurlDeleter> headers;
  std::int64_t last_byte_ns = 0;
  bool any_byte = false;
  char message[CURL_ERROR_SIZE] = {};
};

long status_of(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

std::size_t on_bytes(char* bytes, std::size_t size, std::size_t count, void* user) {
  Transfer& transfer = *static_cast<Transfer*>(user);
  transfer.last_byte_ns = now_ns();
  transfer.any_byte = true;
  const bool more = transfer.receiver->data(status_of(transfer.easy.get()), {bytes, size * count});
  return more ? size * count : CURL_WRITEFUNC_ERROR;
}

Reason reason_of(CURLcode code, bool any_byte) {
  switch (code) {
    case CURLE_OK: return Reason::None;
    case CURLE_WRITE_ERROR: return Reason::BadStream;
    case CURLE_OPERATION_TIMEDOUT: return Reason::Timeout;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE: return Reason::EarlyClose;
    case CURLE_RECV_ERROR: return any_byte ? Reason::EarlyClose : Reason::Connection;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: return Reason::BadStream;
    default: return Reason::Connection;
  }
}

void set_up(Transfer& transfer) {
  CURL* easy = transfer.easy.get();
  const auto set = [easy](CURLoption option, auto value) {
    if (curl_easy_setopt(easy, option, value) != CURLE_OK) fail(ErrorCode::Internal, "libcurl: option {} is refused", static_cast<int>(option));
  };
  // Without "Expect:" large bodies would wait for a word of the server first.
  transfer.request.headers.push_back("Expect:");
  for (const std::string& header : transfer.request.headers) {
    curl_slist* longer = curl_slist_append(transfer.headers.get(), header.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    transfer.headers.release();
    transfer.headers.reset(longer);
  }
  set(CURLOPT_URL, transfer.request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, 10'000L);
  set(CURLOPT_HTTPHEADER, transfer.headers.get());
  set(CURLOPT_ERRORBUFFER, transfer.message);
  set(CURLOPT_WRITEFUNCTION, on_bytes);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(CURLOPT_PRIVATE, static_cast<void*>(&transfer));
  if (transfer.request.body.empty()) return;
  set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer.request.body.size()));
  set(CURLOPT_POSTFIELDS, transfer.request.body.c_str());
}

}  // namespace

class HttpClient::Loop {
 public:
  Loop() : multi_(make_multi()), thread_([this] { run(); }) {}
  ~Loop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    curl_multi_wakeup(multi_);
    thread_.join();
    curl_multi_cleanup(multi_);
  }

  void start(HttpRequest request, std::unique_ptr<HttpReceiver> receiver) {
    auto transfer = std::make_unique<Transfer>();
    transfer->request = std::move(request);
    transfer->receiver = std::move(receiver);
    transfer->easy.reset(curl_easy_init());
    if (transfer->easy == nullptr) throw std::bad_alloc();
    set_up(*transfer);
    {
      const std::lock_guard lock(mutex_);
      arrived_.push_back(std::move(transfer));
    }
    curl_multi_wakeup(multi_);
  }

  void cancel_all() {
    {
      const std::lock_guard lock(mutex_);
      cancelling_ = true;
    }
    curl_multi_wakeup(multi_);
  }

 private:
  static CURLM* make_multi() {
    static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM* multi = kReady == CURLE_OK ? curl_multi_init() : nullptr;
    if (multi == nullptr) fail(ErrorCode::Internal, "libcurl: it does not start");
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1024L);
    return multi;
  }

  void run() {
    bool stopping = false;
    while (!stopping) {
      bool cancelling = false;
      {
        const std::lock_guard lock(mutex_);
        for (std::unique_ptr<Transfer>& transfer : arrived_) take(std::move(transfer));
        arrived_.clear();
        stopping = stopping_;
        cancelling = std::exchange(cancelling_, false) || stopping;
      }
      int running = 0;
      curl_multi_perform(multi_, &running);
      finish_done();
      finish_stalled(cancelling);
      if (!stopping) curl_multi_poll(multi_, nullptr, 0, kPollMs, nullptr);
    }
  }

  void take(std::unique_ptr<Transfer> transfer) {
    CURL* easy = transfer->easy.get();
    transfer->last_byte_ns = now_ns();
    curl_multi_add_handle(multi_, easy);
    running_.emplace(easy, std::move(transfer));
  }

  void finish_done() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      Transfer& transfer = *running_.at(message->easy_handle);
      const std::string detail = transfer.message[0] != '\0' ? transfer.message : curl_easy_strerror(code);
      finish(message->easy_handle, {reason_of(code, transfer.any_byte), status_of(message->easy_handle), code == CURLE_OK ? "" : detail});
    }
  }

  void finish_stalled(bool all) {
    const std::int64_t now = now_ns();
    std::vector<CURL*> over;
    for (const auto& [easy, transfer] : running_) {
      if (all || now - transfer->last_byte_ns > transfer->request.stall_ns) over.push_back(easy);
    }
    for (CURL* easy : over) {
      const double seconds = static_cast<double>(running_.at(easy)->request.stall_ns) * 1e-9;
      HttpEnd end{Reason::Interrupted, status_of(easy), "cancelled"};
      if (!all) end = {Reason::Timeout, status_of(easy), fmt::format("no byte for {:.3g} s", seconds)};
      finish(easy, end);
    }
  }

  void finish(CURL* easy, const HttpEnd& end) {
    curl_multi_remove_handle(multi_, easy);
    const std::unique_ptr<Transfer> transfer = std::move(running_.extract(easy).mapped());
    transfer->receiver->end(end);
  }

  CURLM* multi_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Transfer>> arrived_;
  std::map<CURL*, std::unique_ptr<Transfer>> running_;  ///< of the thread
  bool stopping_ = false, cancelling_ = false;
  std::thread thread_;  // last: it uses everything above
};

HttpClient::HttpClient() : loop_(std::make_unique<Loop>()) {}
HttpClient::~HttpClient() = default;
void HttpClient::start(HttpRequest request, std::unique_ptr<HttpReceiver> receiver) { loop_->start(std::move(request), std::move(receiver)); }
void HttpClient::cancel_all() { loop_->cancel_all(); }

namespace {

class Collector : public HttpReceiver {
 public:
  explicit Collector(std::promise<std::string> answer) : answer_(std::move(answer)) {}
  bool data(long, std::string_view bytes) override {
    if (bytes.size() > kMaxAnswerBytes - text_.size()) return false;
    text_ += bytes;
    return true;
  }
  void end(const HttpEnd& end) override {
    if (end.reason != Reason::None) return refuse(end.reason, end.detail);
    if (end.status < 200 || end.status > 299) return refuse(Reason::HttpStatus, fmt::format("status {}: {}", end.status, text_.substr(0, kMaxErrorBytes)));
    answer_.set_value(std::move(text_));
  }

 private:
  void refuse(Reason reason, const std::string& detail) { answer_.set_exception(std::make_exception_ptr(Failure(reason, detail))); }

  std::promise<std::string> answer_;
  std::string text_;
};

}  // namespace

std::string http_fetch(HttpClient& client, HttpRequest request) {
  std::promise<std::string> answer;
  std::future<std::string> result = answer.get_future();
  client.start(std::move(request), std::make_unique<Collector>(std::move(answer)));
  return result.get();
}

std::string checked_base_url(std::string url) {
  const bool known = url.rfind("http://", 0) == 0 || url.rfind("https://", 0) == 0;
  if (!known || url.find_first_of("@?# \t\r\n") != std::string::npos) {
    fail(ErrorCode::InvalidArgument, "url '{}': expected http://HOST[:PORT][/PATH] or https://..., without user, query and fragment", url);
  }
  while (url.back() == '/') url.pop_back();
  return url;
}

}  // namespace naru::bench
