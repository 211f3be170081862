// What a device says of itself, and the order of its work with that of other libraries on it.
#pragma once

#include <cstdint>
#include <string>

namespace dlcore::DLCORE_DEVICE {

std::string device_problem();  // why the device cannot be used here; empty where it can

// As DLPack numbers them: 1 is the CPU, 2 CUDA.
struct Place {
  int type, id;
};
Place device_place();

// Streams as DLPack and __cuda_array_interface__ number them: 1 and 2 are CUDA's default streams, others are pointers.
// On a CPU there are none, and these do nothing.
std::uintptr_t stream_handle();            // of this thread; it waits for all work issued before
void issue_before(std::uintptr_t stream);  // work issued there from now on waits for what was issued here
void issue_after(std::uintptr_t stream);   // the other way round
void wait_for_device() noexcept;           // until no work of anyone is left

}  // namespace dlcore::DLCORE_DEVICE
