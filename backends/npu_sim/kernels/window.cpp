// Pooling of pictures [n, h, w, c] whose channels are padded.
#include <algorithm>
#include <limits>

#include "backends/npu_sim/kernel.h"

namespace npu {
namespace {

enum Mode : std::int64_t { kMax, kAverage, kAverageWithPadding };

struct Pool {
  std::int64_t n, h, w, c, oh, ow, kh, kw, sh, sw, dh, dw, ph, pw, mode;
  std::int64_t pitch;

  explicit Pool(const Call& call)
      : n(call.integer("n", 1)), h(call.integer("h", 1)), w(call.integer("w", 1)), c(call.integer("c", 1)), oh(call.integer("oh", 1)),
        ow(call.integer("ow", 1)), kh(call.integer("kh", 1)), kw(call.integer("kw", 1)), sh(call.integer("sh", 1)), sw(call.integer("sw", 1)),
        dh(call.integer("dh", 1)), dw(call.integer("dw", 1)), ph(call.integer("ph", 0)), pw(call.integer("pw", 0)),
        mode(call.integer("mode", kMax, kAverageWithPadding)),
        pitch((c + call.chip().channel_block - 1) / call.chip().channel_block * call.chip().channel_block) {}
};

/// The window's elements of one output, all channels at once.
void pool_pixel(const Pool& p, const float* picture, std::int64_t y, std::int64_t x, std::span<float> to) {
  std::fill(to.begin(), to.end(), p.mode == kMax ? -std::numeric_limits<float>::infinity() : 0.0f);
  std::int64_t inside = 0;
  for (std::int64_t i = 0; i < p.kh; ++i) {
    const std::int64_t row = y * p.sh + i * p.dh - p.ph;
    if (row < 0 || row >= p.h) continue;
    for (std::int64_t j = 0; j < p.kw; ++j) {
      const std::int64_t column = x * p.sw + j * p.dw - p.pw;
      if (column < 0 || column >= p.w) continue;
      const float* from = picture + (row * p.w + column) * p.pitch;
      ++inside;
      for (std::size_t c = 0; c < to.size(); ++c) to[c] = p.mode == kMax ? (from[c] < to[c] ? to[c] : from[c]) : to[c] + from[c];
    }
  }
  if (p.mode == kMax) return;
  const auto count = static_cast<float>(p.mode == kAverage ? inside : p.kh * p.kw);
  for (float& value : to) value /= count;
}

Work pool2d(Call& call) {
  const Pool p(call);
  const std::vector<float> x = call.read("X", call.type(), count_of({p.n, p.h, p.w, p.pitch}));
  std::vector<float> y(static_cast<std::size_t>(count_of({p.n, p.oh, p.ow, p.pitch})));
  // Windows may be larger than the picture, never than what any buffer holds.
  const std::int64_t work = count_of({p.n, p.oh, p.ow, p.c, std::min(p.kh, p.h), std::min(p.kw, p.w)});
  if (p.kh > p.h + 2 * p.ph || p.kw > p.w + 2 * p.pw) throw BadArguments("pool2d: the window is larger than the padded picture");
  for (std::int64_t i = 0; i < p.n * p.oh * p.ow; ++i) {
    const float* picture = x.data() + i / (p.oh * p.ow) * p.h * p.w * p.pitch;
    pool_pixel(p, picture, i / p.ow % p.oh, i % p.ow, {y.data() + i * p.pitch, static_cast<std::size_t>(p.c)});
  }
  call.write("Y", call.type(), y);
  return {call.type(), 0, work, size_of(call.type()) * static_cast<std::int64_t>(x.size() + y.size()), 0};
}

}  // namespace

void add_window_kernels(std::vector<Kernel>& table) {
  std::vector<Parameter> parameters = {{"X", Role::Input}, {"Y", Role::Output}};
  for (const char* name : {"n", "h", "w", "c", "oh", "ow", "kh", "kw", "sh", "sw", "dh", "dw", "ph", "pw", "mode"}) {
    parameters.push_back({name, Role::Int});
  }
  add_float_kernels(table, "npu.pool2d", parameters, pool2d);
}

}  // namespace npu
