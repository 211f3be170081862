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

// log of the sum of exp(-F) over states first .. first + count of the smaller layer (the hidden one where both are
// equal counts as the larger), all others summed out; unit i is on in state s where bit i of s is. All 2^units states
// give log Z. In double throughout; at most rbm_max_enumerated units.
inline constexpr Index rbm_max_enumerated = 28;
template <typename T> double rbm_log_partition(const Rbm<T>& rbm, Index first, Index count);

// Annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008) between the machine of visible biases
// base_bias without weights and hidden biases, beta = 0, and this one, beta = 1, through
//   p_beta(v) ~ exp((1 - beta) base_bias.v + beta b.v) prod_j (1 + exp(beta (c + v W)_j)).
// For k = 0 .. steps: log_weights += log p_beta[k + 1](v) - log p_beta[k](v), not normalised, then v moves by a Gibbs
// step v -> h -> v that leaves p_beta[k + 1] invariant; draws step + 2 k and step + 2 k + 1. The betas may fall: this
// is the reverse chain. v (n, n_visible) and log_weights (n,) are changed in place; a run may be cut into calls.
template <typename T>
void rbm_ais(const Rbm<T>& rbm, const T* base_bias, Index n, T* v, Index steps, const double* betas, std::uint64_t key,
             std::uint64_t step, double* log_weights);

// sum_i log p(v_i | the other v), (n,), in double; a v between 0 and 1 weighs the two outcomes.
template <typename T> void rbm_pseudo_log_likelihood(const Rbm<T>& rbm, Index n, const T* v, double* result);

}  // namespace dlcore::DLCORE_DEVICE
