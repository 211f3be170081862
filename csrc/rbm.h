// The Bernoulli-Bernoulli restricted Boltzmann machine of energy E(v, h) = -b.v - c.h - v W h.
//
// n cases of n_visible and n_hidden units; weight W is (n_visible, n_hidden), b the visible, c the hidden bias. Layers
// are (n, units), row-major. A draw of a whole layer is one draw of random.h: unit j of case i is element i * units +
// j.
#pragma once

#include <functional>

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

template <typename T> struct Rbm {
  Index n_visible, n_hidden;
  const T* weight;
  const T* visible_bias;
  const T* hidden_bias;
};

// p(h = 1 | v) = sigmoid(c + v W) and p(v = 1 | h) = sigmoid(b + h W^T). visible_bias or hidden_bias, respectively, is
// not looked at.
template <typename T> void rbm_hidden(const Rbm<T>& rbm, Index n, const T* v, T* probabilities);
template <typename T> void rbm_visible(const Rbm<T>& rbm, Index n, const T* h, T* probabilities);

// Called now and then in a long chain, outside parallel regions; what it throws ends the call, which then has changed
// none of the arrays that were there before.
using Interruption = std::function<void()>;

// k steps v -> h -> v of Gibbs sampling, k >= 1: draw step + 2 i for h and step + 2 i + 1 for v (modulo 2^64).
// `samples` is the last v, `probabilities` what it was drawn from.
template <typename T>
void rbm_gibbs(const Rbm<T>& rbm, Index n, const T* v, Index k, std::uint64_t key, std::uint64_t step, T* samples,
               T* probabilities, const Interruption& interruption);

// Contrastive divergence (Hinton 2002, CD-k) and its persistent form (Tieleman 2008, PCD-k): an estimate of the
// gradient of the mean negative log-likelihood, for a minimiser. With p(v) = p(h = 1 | v), the statistics
//   W: v^T p(v)    b: v    c: p(v)
// are averaged over the chains' ends v_k, and their averages over the data v_0 are subtracted. The visible units of the
// chain are samples throughout; hidden probabilities enter the statistics, hidden samples drive the chain. So its mean
// is exactly that of the k-step Markov chain.
//   CD:  h_0 ~ p(v_0), then k - 1 times v_i ~ p(v | h), h_i ~ p(h | v_i), then v_k. Steps step .. step + 2k - 1.
//   PCD: the state kept between calls is h, `chains` (n_chains, n_hidden): k times v_i ~ p(v | h), h_i ~ p(h | v_i), of
//        which the last h is the new state. It saves the product that would make h from a kept v. Same steps.
// `gradient` is [W row-major, b, c]. CD returns the mean over the cases of sum_j (v_0 - p(v = 1 | h_0))^2; PCD, whose
// chains have no case to reconstruct, returns 0. n >= 1; n_chains >= 1 unless chains is null. `chains` changes only at
// the end.
template <typename T>
double rbm_cd(const Rbm<T>& rbm, Index n, const T* v, Index k, std::uint64_t key, std::uint64_t step, Index n_chains,
              T* chains, T* gradient, const Interruption& interruption);

// F(v) = -log sum_h exp(-E(v, h)) = -b.v - sum_j softplus(c + v W)_j, (n,).
template <typename T> void rbm_free_energy(const Rbm<T>& rbm, Index n, const T* v, T* energy);

}  // namespace dlcore::DLCORE_DEVICE
