// Lazy streams of the emulated machine: work in order, done when somebody waits for it.
#pragma once

#include <deque>
#include <functional>
#include <set>
#include <string>

namespace naru::test::emulator {

struct Event {
  bool done = false;
  double milliseconds = 0;  ///< of the machine's clock, which goes on by one with each piece of work
};

/// One piece of work, and the objects that it needs when it runs.
struct Work {
  std::function<void()> run;
  std::set<const void*> needs;
};

struct Stream {
  std::deque<Work> work;
};

}  // namespace naru::test::emulator
