// A stack of its own that one thread of the processor can switch to and from: a block's thread in the emulation.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <utility>

#include "../../csrc/types.h"

#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace dlcore::DLCORE_DEVICE {

#ifdef __x86_64__
// Pushes what a call keeps, leaves the stack pointer in *save, and goes on at `load`. swapcontext, which also asks the
// system for the signal mask, takes some fifty times as long.
__attribute__((naked, noinline)) static void switch_stack([[maybe_unused]] void** save, [[maybe_unused]] void* load) {
  __asm__(
      "pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
      "movq %rsp, (%rdi)\n movq %rsi, %rsp\n"
      "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n retq\n");
}
#endif

class Fiber {
 public:
  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  Fiber(Fiber&& other) noexcept : stack_(std::exchange(other.stack_, nullptr)) {}  // before start
  ~Fiber() {
    if (stack_) munmap(stack_, stack_bytes);
  }

  // The next switch_to(*this) calls main, on an empty stack; it never returns.
  void start(void (*main)()) {
    if (!stack_) {
      stack_ = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (stack_ == MAP_FAILED) {
        stack_ = nullptr;
        throw std::bad_alloc();
      }
    }
#ifdef __x86_64__
    void** top = reinterpret_cast<void**>(static_cast<char*>(stack_) + stack_bytes);
    *--top = nullptr;                              // where main would return to; also aligns the stack as a call does
    *--top = reinterpret_cast<void*>(main);        // what switch_stack returns to
    for (int i = 0; i < 6; ++i) *--top = nullptr;  // the kept registers
    pointer_ = top;
#else
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack_;
    context_.uc_stack.ss_size = stack_bytes;
    context_.uc_link = nullptr;
    makecontext(&context_, main, 0);
#endif
  }

  // Called on this fiber's stack: comes back when another switches to it.
  void switch_to(Fiber& other) {
#ifdef __x86_64__
    switch_stack(&pointer_, other.pointer_);
#else
    swapcontext(&context_, &other.context_);
#endif
  }

 private:
  static constexpr std::size_t stack_bytes = 128 << 10;  // touched as far as it is used

  void* stack_ = nullptr;
#ifdef __x86_64__
  void* pointer_ = nullptr;
#else
  ucontext_t context_;
#endif
};

}  // namespace dlcore::DLCORE_DEVICE
