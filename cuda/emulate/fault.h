// Stray accesses of kernels. For emulate.cpp alone.
#pragma once

#include <signal.h>

#include <mutex>

namespace dlcore::DLCORE_DEVICE {
namespace {

// Called in the thread that touched what it must not; where that is in a kernel, it does not return.
void (*leave_kernel)();
struct sigaction before_segv, before_bus;

void on_fault(int signal, siginfo_t* info, void* context) {
  leave_kernel();
  const struct sigaction& before = signal == SIGSEGV ? before_segv : before_bus;
  if ((before.sa_flags & SA_SIGINFO) != 0) before.sa_sigaction(signal, info, context);
  else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) before.sa_handler(signal);
  else ::signal(signal, SIG_DFL);
}

class FaultHandler {  // while a kernel runs, in any thread
 public:
  explicit FaultHandler(void (*leave)()) {
    const std::lock_guard lock(mutex());
    leave_kernel = leave;
    if (users()++ > 0) return;
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, &before_segv);
    sigaction(SIGBUS, &action, &before_bus);
  }
  ~FaultHandler() {
    const std::lock_guard lock(mutex());
    if (--users() > 0) return;
    sigaction(SIGSEGV, &before_segv, nullptr);
    sigaction(SIGBUS, &before_bus, nullptr);
  }
  FaultHandler(const FaultHandler&) = delete;
  FaultHandler& operator=(const FaultHandler&) = delete;

 private:
  static std::mutex& mutex() {
    static std::mutex m;
    return m;
  }
  static int& users() {
    static int n = 0;
    return n;
  }
};

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
