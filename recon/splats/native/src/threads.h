// A pool of std::threads that works through numbered tasks.
#pragma once
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace splats {

struct Stopped : std::exception {
    const char *what() const noexcept override { return "stopped"; }
};

// Which task a thread gets is a matter of chance; a task must write only where no other one does.
class Pool {
  public:
    explicit Pool(int threads) {
        try {
            for (int i = 1; i < threads; i++) helpers_.emplace_back([this, i] { help(i); });
        } catch (...) {
            dismiss();
            throw;
        }
    }
    ~Pool() { dismiss(); }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    int threads() const { return static_cast<int>(helpers_.size()) + 1; }

    // Calls work(task, worker) for every task from 0 to tasks - 1; workers are numbered from 0 to threads() - 1.
    // Throws what a task throws, or Stopped when stop() was called.
    template <class Work>
    void run(int tasks, Work &&work) {
        if (tasks <= 0) return;
        work_ = &work;
        call_ = [](void *w, int task, int worker) { (*static_cast<std::remove_reference_t<Work> *>(w))(task, worker); };
        tasks_ = tasks;
        next_ = 0;
        const bool alone = tasks == 1 || helpers_.empty();
        if (!alone) {
            std::lock_guard<std::mutex> lock(mutex_);
            busy_ = static_cast<int>(helpers_.size());
            round_++;
            begin_.notify_all();
        }
        take_tasks(0);
        if (!alone) {
            std::unique_lock<std::mutex> lock(mutex_);
            end_.wait(lock, [this] { return busy_ == 0; });
        }
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        if (stop_) throw Stopped();
    }

    void stop() { stop_ = true; }
    void resume() { stop_ = false; }

  private:
    void take_tasks(int worker) {
        try {
            for (int task; !stop_ && (task = next_++) < tasks_;) call_(work_, task, worker);
        } catch (...) {
            std::lock_guard<std::mutex> lock(mutex_);
            if (!error_) error_ = std::current_exception();
            next_ = tasks_;
        }
    }

    void help(int worker) {
        for (int64_t seen = 0;;) {
            {
                std::unique_lock<std::mutex> lock(mutex_);
                begin_.wait(lock, [&] { return leave_ || round_ != seen; });
                if (leave_) return;
                seen = round_;
            }
            take_tasks(worker);
            std::lock_guard<std::mutex> lock(mutex_);
            if (--busy_ == 0) end_.notify_one();
        }
    }

    void dismiss() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            leave_ = true;
        }
        begin_.notify_all();
        for (auto &helper : helpers_) helper.join();
    }

    std::vector<std::thread> helpers_;
    std::mutex mutex_;
    std::condition_variable begin_, end_;
    std::atomic<bool> stop_{false};
    std::atomic<int> next_{0};
    std::exception_ptr error_;
    void *work_ = nullptr;
    void (*call_)(void *, int, int) = nullptr;
    int tasks_ = 0, busy_ = 0;
    int64_t round_ = 0;
    bool leave_ = false;
};

}  // namespace splats
