// Restricted Boltzmann machines of energy
//   E(v, h) = sum_i e_i(v) - c.h - sum_ij v_i w_ij h_j / s_i
// where of each kind of visible unit, s_i = 1 but for Gaussian ones,
//   Bernoulli  e = -b v, v in {0, 1};
//   softmax    e = -b v, of each group exactly one v is 1, the others are 0 (Salakhutdinov, Mnih and Hinton 2007);
//   Gaussian   e = (v - b)^2 / 2 s, s = sigma^2 = exp(z) (Cho, Ilin and Raiko 2011);
// and where hidden units are Bernoulli, or Gaussian of unit variance, whose energy has h^2 / 2 more (Hinton and
// Salakhutdinov 2006).
//
// n cases of n_visible and n_hidden units; weight W is (n_visible, n_hidden), b the visible, c the hidden bias, z the
// log-variances of the Gaussian visible units. Layers are (n, units), row-major. A draw of a whole layer is one draw of
// random.h: unit j of case i is element i * units + j. A softmax group takes the sample of its first unit, and turns on
// the first unit up to which the probabilities add to more than it. Gaussian units add sigma times a normal draw of
// their own, (n, Gaussian units of the layer), with the key ^ rbm_normal_stream and the same step.
#pragma once

#include <functional>

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

enum class Unit : std::uint8_t { bernoulli, softmax, gaussian };

// Visible units begin .. end of one kind; softmax units are groups of `group` units from `begin` on.
struct Segment {
  Unit kind;
  Index begin, end, group;
};

template <typename T> struct Rbm {
  Index n_visible, n_hidden;
  const T* weight;
  const T* visible_bias;
  const T* hidden_bias;
  const Segment* segments = nullptr;  // of all visible units, in order; null where all are Bernoulli
  Index n_segments = 0;
  const T* log_variance = nullptr;  // (n_gaussian,), z of the Gaussian visible units in order
  Index n_gaussian = 0;
  Unit hidden = Unit::bernoulli;  // or gaussian
};

inline constexpr std::uint64_t rbm_normal_stream = 0x9E3779B97F4A7C15;

// Index of the first element of a layer (n, units) that is not finite, of a Gaussian unit, or not in [0, 1], of
// another; or n units. Cases are searched in order.
template <typename T>
Index rbm_first_invalid(Index n, Index units, const Segment* segments, Index n_segments, const T* x);

// The means of a layer given the other, E[h | v] of the fields c + (v / s) W and E[v | h] of the fields b + h W^T: the
// sigmoid of a field, the softmax of a group's, the field itself of a Gaussian unit. visible_bias or hidden_bias,
// respectively, is not looked at.
template <typename T> void rbm_hidden(const Rbm<T>& rbm, Index n, const T* v, T* probabilities);
template <typename T> void rbm_visible(const Rbm<T>& rbm, Index n, const T* h, T* probabilities);

// Draws from a layer's means as the two above give them; samples may be the means.
template <typename T>
void rbm_draw_hidden(const Rbm<T>& rbm, std::uint64_t key, std::uint64_t step, Index n, const T* means, T* samples);
template <typename T>
void rbm_draw_visible(const Rbm<T>& rbm, std::uint64_t key, std::uint64_t step, Index n, const T* means, T* samples);

// Called now and then in a long chain, outside parallel regions; what it throws ends the call, which then has changed
// none of the arrays that were there before.
using Interruption = std::function<void()>;

// k steps v -> h -> v of Gibbs sampling, k >= 1: draw step + 2 i for h and step + 2 i + 1 for v (modulo 2^64).
// `samples` is the last v, `probabilities` what it was drawn from.
template <typename T>
void rbm_gibbs(const Rbm<T>& rbm, Index n, const T* v, Index k, std::uint64_t key, std::uint64_t step, T* samples,
               T* probabilities, const Interruption& interruption);

// Contrastive divergence (Hinton 2002, CD-k) and its persistent form (Tieleman 2008, PCD-k): an estimate of the
// gradient of the mean negative log-likelihood, for a minimiser. With p(v) = E[h | v], the statistics
//   W: (v / s)^T p(v)    b: v / s    c: p(v)    z: (v - b)^2 / 2 s - (v / s) W p(v)
// are averaged over the chains' ends v_k, and their averages over the data v_0 are subtracted. The visible units of the
// chain are samples throughout; hidden probabilities enter the statistics, hidden samples drive the chain. So its mean
// is exactly that of the k-step Markov chain.
//   CD:  h_0 ~ p(v_0), then k - 1 times v_i ~ p(v | h), h_i ~ p(h | v_i), then v_k. Steps step .. step + 2k - 1.
//   PCD: the state kept between calls is h, `chains` (n_chains, n_hidden): k times v_i ~ p(v | h), h_i ~ p(h | v_i), of
//        which the last h is the new state. It saves the product that would make h from a kept v. Same steps.
// `gradient` is [W row-major, b, c, z], with the terms of `more` added. `error`, in the device's memory, is the mean
// over the cases of sum_j (v_0 - E[v | h_0])^2, and 0 for PCD, whose chains have no case to reconstruct. n >= 1;
// n_chains >= 1 unless chains is null. `chains` and the terms' states change only at the end.
//
// Centring (Montavon and Mueller 2012; Melchior, Fischer and Wiskott 2016, d-d centring): the offsets mu of v and
// lambda of h slide to the data's means, offset += rate (mean - offset), then the gradient becomes that of the
// parameters of the centred machine, of units (v - mu) / s and h - lambda, as it moves W, b and c:
//   dW -= (mu / s) dc^T + db lambda^T    db -= dW lambda    dc -= dW^T (mu / s)    (of the new dW)
// Sparsity (Hinton 2010, section 11; Lee, Ekanadham and Ng 2008): q += (1 - decay) (mean of p(v_0) - q), then
//   dc += cost (q - target)    dW += cost (mean of v_0 / s) (q - target)^T
// which for one case and no decay is the gradient of cost times the cross-entropy -target log q - (1 - target) log(1 -
// q). Scaled steps: the rows of dW and db of Gaussian units are multiplied by s, before dW enters the last two of
// centring: the steps of the parameters W / sigma and b / sigma of the standardised v / sigma, which do not grow as
// sigma falls. Weight decay comes last: dW += decay W.
template <typename T> struct ContrastTerms {
  T* offsets = nullptr;  // [mu, lambda], or null: not centred
  double offset_rate = 0;
  T* activity = nullptr;  // q (n_hidden,), or null: no target
  double sparsity_target = 0, sparsity_cost = 0, sparsity_decay = 0;
  double weight_decay = 0;
  bool fixed_variance = false;  // dz = 0
  bool scaled_steps = false;
};
template <typename T>
void rbm_cd(const Rbm<T>& rbm, Index n, const T* v, Index k, std::uint64_t key, std::uint64_t step, Index n_chains,
            T* chains, T* gradient, double* error, const Interruption& interruption,
            const ContrastTerms<T>& terms = {});

// F(v) = -log sum_h exp(-E(v, h)) = sum_i e_i(v) - sum_j softplus(c + (v / s) W)_j, (n,); for Gaussian hidden units
// the last sum is sum_j (field^2 + log 2 pi) / 2.
template <typename T> void rbm_free_energy(const Rbm<T>& rbm, Index n, const T* v, T* energy);

// log of the sum of exp(-F) over states first .. first + count of the layer with fewer states (the hidden one where
// both have as many counts as the larger), all others summed out or, if Gaussian, integrated. A layer's digits are its
// Bernoulli units, 0 or 1, and its softmax groups, which of their units is on; the first is the lowest: unit i of
// Bernoulli units is on in state s where bit i of s is. A layer with Gaussian units has no states; not both layers may.
// All states give log Z. In double throughout; at most 2^rbm_max_enumerated states.
inline constexpr Index rbm_max_enumerated = 28;
// The number of states of the layer that is enumerated, or -1 where there are more than 2^rbm_max_enumerated.
Index rbm_states(Index n_visible, Index n_hidden, const Segment* segments, Index n_segments, Unit hidden);
template <typename T> double rbm_log_partition(const Rbm<T>& rbm, Index first, Index count);

// The two below are for Bernoulli units in both layers.

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
