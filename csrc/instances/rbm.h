// The instances of rbm.h that every device module has: rbm.cpp and rbm.cu end with them.
#pragma once

#define DLCORE_RBM_OF(T)                                                                                            \
  template void rbm_hidden(const Rbm<T>&, Index, const T*, T*);                                                     \
  template void rbm_visible(const Rbm<T>&, Index, const T*, T*);                                                    \
  template Index rbm_first_invalid(Index, Index, const Segment*, Index, const T*);                                  \
  template void rbm_draw_hidden(const Rbm<T>&, std::uint64_t, std::uint64_t, Index, const T*, T*);                  \
  template void rbm_draw_visible(const Rbm<T>&, std::uint64_t, std::uint64_t, Index, const T*, T*);                 \
  template void rbm_gibbs(const Rbm<T>&, Index, const T*, Index, std::uint64_t, std::uint64_t, T*, T*,              \
                          const Interruption&);                                                                     \
  template void rbm_cd(const Rbm<T>&, Index, const T*, Index, std::uint64_t, std::uint64_t, Index, T*, T*, double*, \
                       const Interruption&, const ContrastTerms<T>&);                                               \
  template void rbm_free_energy(const Rbm<T>&, Index, const T*, T*);                                                \
  template double rbm_log_partition(const Rbm<T>&, Index, Index);                                                   \
  template void rbm_ais(const Rbm<T>&, const T*, Index, T*, Index, const double*, std::uint64_t, std::uint64_t,     \
                        double*);                                                                                   \
  template void rbm_pseudo_log_likelihood(const Rbm<T>&, Index, const T*, double*);

#define DLCORE_RBM_INSTANCES \
  DLCORE_RBM_OF(float)       \
  DLCORE_RBM_OF(double)
