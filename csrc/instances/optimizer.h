// The instances of optimizer.h that every device module has: optimizer.cpp and optimizer.cu end with them.
#pragma once

#define DLCORE_OPTIMIZER_OF(T)                                                   \
  template void sgd(Index, const SgdOptions&, const T*, T*, T*);                 \
  template void adagrad(Index, const AdagradOptions&, const T*, T*, T*);         \
  template void rmsprop(Index, const RmspropOptions&, const T*, T*, T*, T*, T*); \
  template void adadelta(Index, const AdadeltaOptions&, const T*, T*, T*, T*);   \
  template void adam(Index, const AdamOptions&, const T*, T*, T*, T*, T*);       \
  template void nadam(Index, const NadamOptions&, const T*, T*, T*, T*);         \
  template void rprop(Index, const RpropOptions&, const T*, T*, T*, T*);         \
  template void lion(Index, const LionOptions&, const T*, T*, T*);               \
  template void average_weights(Index, double, const T*, T*);                    \
  template double norm(Index, const T*);                                         \
  template bool norm_on_device(const T*, const std::pair<Index, Index>*, Index, double, double*, double&);

#define DLCORE_OPTIMIZER_INSTANCES \
  DLCORE_OPTIMIZER_OF(float)       \
  DLCORE_OPTIMIZER_OF(double)
