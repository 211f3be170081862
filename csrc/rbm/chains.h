// Chains that Gibbs sampling alone does not make: tempered ones, those with units held, and the statistics of any rows.
// Kernels of rbm.cpp; see rbm.h for the machine, its draws and interruptions.
#pragma once

#include "../rbm.h"

namespace dlcore::DLCORE_DEVICE {

// Parallel tempering (Desjardins et al. 2010; Cho, Raiko and Ilin 2010): n_chains ensembles of n_betas replicas, of
// which replica t follows exp(-E_beta), beta = betas[t], by the fields
//   visible (1 - beta) base_bias + beta (b + h W^T)    hidden beta (c + (v / s) W).
// The squares of Gaussian units are not tempered, so that beta = 0 is independent units of biases base_bias.
// `replicas` (n_betas, n_chains, n_hidden) are the hidden states. A step draws v given h (step + 3 i), h given v (step
// + 3 i + 1) and exchanges the states x of neighbours s, t, pairs (0, 1), (2, 3) .. first and then (1, 2), (3, 4) ..,
// of each ensemble with probability min(1, exp((beta_s - beta_t) (U(x_s) - U(x_t)))), where U = dE / dbeta = -(b -
// base_bias).(v / s) - h.(c + (v / s) W); element pair * n_chains + ensemble of the float64 draw step + 3 i + 2
// decides. After k steps `v` is the visible state (n_chains, n_visible) of replica 0, which stands beside its hidden
// one, and accepted[pair] is higher by the number of exchanges. The arrays change only at the end.
template <typename T>
void rbm_temper(const Rbm<T>& rbm, const T* base_bias, Index n_chains, Index n_betas, const double* betas, Index k,
                std::uint64_t key, std::uint64_t step, T* replicas, T* v, double* accepted,
                const Interruption& interruption);

// numbers = given, with 0 in place of NaN.
template <typename T> void rbm_without_gaps(Index n, const T* given, T* numbers);

// The first group of a segment of softmax units, counted row by row of `given` (n, visible), that has NaN in some of
// its units but not in all; as many as there are, where none has.
template <typename T> Index rbm_first_part_group(Index n, Index visible, const Segment& segment, const T* given);

// k steps v -> h -> v of Gibbs sampling of the units that are NaN in `given`; the others keep its values. `state` (n,
// n_visible) has values for them where the chain begins, what it has in place of given units is not looked at; at the
// end `samples` is the last v and `means` what its free units were drawn from, each with the given units in place.
// Draws step + 2 i for h and step + 2 i + 1 for v, as rbm_gibbs.
template <typename T>
void rbm_clamped_gibbs(const Rbm<T>& rbm, Index n, const T* given, const T* state, Index k, std::uint64_t key,
                       std::uint64_t step, T* samples, T* means, const Interruption& interruption);

// sum_r weights[r] statistics(v_r) over n rows, where the statistics are those of rbm_cd, [W row-major, b, c, z]: the
// gradient of any contrast of data and chains. weights (n,) may have any sign. The first `data` rows are the data,
// whose means, weighed by |weights|, are those of the terms; where these weights add to 0, only the decay is added.
template <typename T>
void rbm_statistics(const Rbm<T>& rbm, Index n, Index data, const T* v, const T* weights, T* gradient,
                    const ContrastTerms<T>& terms);

}  // namespace dlcore::DLCORE_DEVICE
