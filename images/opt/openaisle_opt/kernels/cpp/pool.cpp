#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace openaisle {

namespace {

// About 200 us: longer than what lies between two operations of a step, shorter than a pause
// between requests. While it looks for work a thread yields its core to whoever wants it.
constexpr int looks_before_sleep = 100;
constexpr int pauses_between_looks = 64;

void pause(int times) {
  for (int i = 0; i < times; i++) __builtin_ia32_pause();
}

class Pool {
 public:
  void run(int64_t units, int threads, void (*f)(void*, int64_t), void* context) {
    const std::unique_lock<std::mutex> lock(running_, std::try_to_lock);
    if (!lock.owns_lock()) {  // another thread's operation has the helpers
      for (int64_t unit = 0; unit < units; unit++) f(context, unit);
      return;
    }
    hire(threads - 1);
    f_.store(f, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    units_.store(units, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    word_.store(++epoch_ << 32 | static_cast<uint64_t>(units));
    if (num_asleep_.load() > 0) {
      const std::lock_guard<std::mutex> guard(sleeping_);
      wake_.notify_all();
    }
    work();
    for (int i = 0; done_.load(std::memory_order_acquire) < units; i++) i < 1000 ? pause(1) : (void)sched_yield();
  }

 private:
  static bool has_units(uint64_t word) { return static_cast<uint32_t>(word) != 0; }

  // Takes units while there are any.
  void work() {
    uint64_t word = word_.load(std::memory_order_acquire);
    while (has_units(word)) {
      // These belong to `word` if the exchange succeeds: they change only when all units of an
      // operation are done, and the next operation's word has another epoch.
      const auto f = f_.load(std::memory_order_relaxed);
      void* const context = context_.load(std::memory_order_relaxed);
      const int64_t unit = units_.load(std::memory_order_relaxed) - static_cast<uint32_t>(word);
      if (!word_.compare_exchange_weak(word, word - 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      f(context, unit);
      done_.fetch_add(1, std::memory_order_release);
      word = word_.load(std::memory_order_acquire);
    }
  }

  void help(int index) {
    const auto is_wanted = [&] { return index < num_wanted_.load() && has_units(word_.load()); };
    for (;;) {
      for (int looks = 0; looks < looks_before_sleep; looks++) {
        if (is_wanted()) {
          work();
          looks = 0;
        }
        pause(pauses_between_looks);
        sched_yield();
      }
      std::unique_lock<std::mutex> lock(sleeping_);
      num_asleep_++;
      wake_.wait(lock, is_wanted);
      num_asleep_--;
    }
  }

  void hire(int helpers) {
    num_wanted_.store(helpers);
    if (num_helpers_ >= helpers) return;
    sigset_t all, before;  // signals are for the threads of the program
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; num_helpers_ < helpers; num_helpers_++) std::thread(&Pool::help, this, num_helpers_).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  std::mutex running_;
  uint64_t epoch_ = 0;   // guarded by running_, as num_helpers_ is
  int num_helpers_ = 0;
  alignas(64) std::atomic<uint64_t> word_{0};  // the operation's number << 32 | units not yet taken
  std::atomic<void (*)(void*, int64_t)> f_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int64_t> units_{0};
  alignas(64) std::atomic<int64_t> done_{0};
  alignas(64) std::atomic<int> num_wanted_{0};
  std::atomic<int> num_asleep_{0};
  std::mutex sleeping_;
  std::condition_variable wake_;
};

}  // namespace

void run_units(int64_t units, int threads, void (*f)(void*, int64_t), void* context) {
  if (units == 1 || threads == 1) {
    for (int64_t unit = 0; unit < units; unit++) f(context, unit);
    return;
  }
  static Pool* const pool = new Pool;  // never deleted: helpers may be looking at it until the process ends
  pool->run(units, threads, f, context);
}

}  // namespace openaisle
