// An epoch of contrastive steps in one call: see rbm.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "movement.h"
#include "optimizer.h"
#include "rbm_contrast.h"

namespace dlcore::DLCORE_DEVICE {

template <typename T>
void rbm_epoch(const Rbm<T>& rbm, const ContrastEpoch<T>& epoch, const ContrastTerms<T>& terms,
               const Interruption& interruption) {
  using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const Index visible = rbm.n_visible, parameters = visible * rbm.n_hidden + visible + rbm.n_hidden + rbm.n_gaussian;
  const Index short_batch = epoch.cases % epoch.batch_size;
  const auto work_for = [&](Index n) { return Contrast<T>(rbm, n, epoch.chains ? epoch.n_chains : n); };
  Contrast<T> whole = work_for(epoch.batch_size), rest = work_for(short_batch);
  const Buffer<T> gradient(parameters);
  T* const z = epoch.theta + parameters - rbm.n_gaussian;
  std::uint64_t step = epoch.step;
  Index batch = 0;
  for (Index first = 0; first < epoch.cases; first += epoch.batch_size, ++batch) {
    if (batch > 0) interruption();
    const Index n = std::min(epoch.batch_size, epoch.cases - first);
    Contrast<T>& work = n == epoch.batch_size ? whole : rest;
    if (epoch.order)
      gather(n, epoch.stored, visible, reinterpret_cast<const Word*>(epoch.data), epoch.order + first,
             reinterpret_cast<Word*>(work.visible.data()));
    else copy(n * visible, epoch.data + first * visible, work.visible.data());
    const double error =
        contrast(rbm, work, epoch.k, epoch.key, step, epoch.chains, gradient.data(), interruption, terms);
    step += 2 * static_cast<std::uint64_t>(epoch.k);
    const SgdOptions options{
        epoch.lr[batch], epoch.momentum[batch], epoch.dampening, 0, epoch.nesterov, epoch.first_step && batch == 0, 1};
    sgd(parameters, options, gradient.data(), epoch.theta, epoch.velocity);
    for (Index i = 0; i < rbm.n_gaussian && !terms.fixed_variance; ++i)
      if (z[i] < static_cast<T>(rbm_least_log_variance)) z[i] = static_cast<T>(rbm_least_log_variance);
    epoch.errors[batch] = error;
    *epoch.done = static_cast<std::int32_t>(batch + 1);
    if (!std::isfinite(error)) break;
  }
}

}  // namespace dlcore::DLCORE_DEVICE
