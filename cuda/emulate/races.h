// Who touches memory in a kernel. A build with DLCORE_CUDA_HOST_RACES has the compiler call races.cpp at each access.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace dlcore::DLCORE_DEVICE::emulate {

// A thread of the block that runs, and how many barriers it has passed: those of the block, and __syncwarp.
struct Actor {
  std::uint32_t launch, block, thread, warp;
  std::uint32_t barriers, warp_barriers;
};
extern thread_local const Actor* actor;  // null while no thread of a kernel runs

bool in_shared_memory(std::uintptr_t address);
// Makes the launch fail, with the first of these texts, when it ends.
void report(const std::string& what);

enum class Access : std::uint8_t { read, write, atomic };
#ifdef DLCORE_RACES
void touch(const void* address, std::size_t bytes, Access access);
#else
inline void touch(const void*, std::size_t, Access) {}
#endif

}  // namespace dlcore::DLCORE_DEVICE::emulate
