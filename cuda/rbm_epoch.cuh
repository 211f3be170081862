// An epoch of contrastive steps in one call: see csrc/rbm.h.
#pragma once

#include <cmath>
#include <type_traits>

#include "../csrc/movement.h"
#include "../csrc/optimizer.h"
#include "rbm_contrast.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

template <typename T> struct AtLeast {
  T least;
  __device__ T operator()(T x) const { return x < least ? least : x; }
};
struct EndOfBatch {
  std::int32_t made;
  const double* error;
  std::int32_t* done;
  double* errors;
  __device__ void operator()(Index, Index) const {
    errors[made - 1] = *error;
    *done = made;
  }
};

}  // namespace

template <typename T>
void rbm_epoch(const Rbm<T>& rbm, const ContrastEpoch<T>& epoch, const ContrastTerms<T>& terms,
               const Interruption& interruption) {
  using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const Index visible = rbm.n_visible, parameters = visible * rbm.n_hidden + visible + rbm.n_hidden + rbm.n_gaussian;
  const Index batches = ceil_div(epoch.cases, epoch.batch_size), short_batch = epoch.cases % epoch.batch_size;
  const auto work_for = [&](Index n) { return Contrast<T>(rbm, n, epoch.chains ? epoch.n_chains : n); };
  Contrast<T> whole = work_for(epoch.batch_size), rest = work_for(short_batch);
  const Buffer<T> gradient(parameters);
  const HostView<double> lr(epoch.lr, batches), momentum(epoch.momentum, batches);
  T* const z = epoch.theta + parameters - rbm.n_gaussian;
  std::uint64_t step = epoch.step;
  for (Index batch = 0; batch < batches; ++batch) {
    if (batch > 0) interruption();
    const Index first = batch * epoch.batch_size, n = std::min(epoch.batch_size, epoch.cases - first);
    Contrast<T>& work = n == epoch.batch_size ? whole : rest;
    if (epoch.order)
      gather(n, epoch.stored, visible, reinterpret_cast<const Word*>(epoch.data), epoch.order + first,
             reinterpret_cast<Word*>(work.visible.data()));
    else copy(n * visible, epoch.data + first * visible, work.visible.data());
    contrast(rbm, work, epoch.k, epoch.key, step, epoch.chains, gradient.data(), interruption, terms);
    step += 2 * static_cast<std::uint64_t>(epoch.k);
    const SgdOptions options{
        lr[batch], momentum[batch], epoch.dampening, 0, epoch.nesterov, epoch.first_step && batch == 0, 1};
    sgd<T>(parameters, options, gradient.data(), epoch.theta, epoch.velocity);
    if (rbm.n_gaussian && !terms.fixed_variance)
      map<T>("rbm: least variance", rbm.n_gaussian, z, AtLeast<T>{static_cast<T>(rbm_least_log_variance)},
             static_cast<const T*>(z));
    for_each("rbm: end of a batch", 1, 1,
             EndOfBatch{static_cast<std::int32_t>(batch + 1), work.error.data(), epoch.done, epoch.errors});
    // Persistent chains have no error that could fail to be finite, so nothing waits for the device.
    if (!epoch.chains && !std::isfinite(value_at(work.error.data()))) break;
  }
}

}  // namespace dlcore::DLCORE_DEVICE
