// The element-wise losses l(f, y) on vectors, each with its first and second derivative by the prediction f.
// `p` is the loss's parameter. Comparisons are written so that NaN reaches the value and the first derivative. At a
// kink the derivative is that of the flat side, or 0; second derivatives leave the kink out.
#pragma once

#include "loss.h"
#include "vecmath.h"

namespace dlcore::DLCORE_DEVICE {
namespace pointwise {

// -1, 0 or 1; NaN stays.
template <typename T> DLCORE_INLINE Vec<T> sign_of(Vec<T> x) {
  return x > Vec<T>{} ? splat<T>(1) : (x < Vec<T>{} ? splat<T>(-1) : x);
}
// e^-x for x >= 0, e^-infinity = 0.
template <typename T> DLCORE_INLINE Vec<T> exp_minus(Vec<T> x) {
  return detail::exp_in_range<T>(detail::at_least<T>(-x, detail::Format<T>::exp_low));
}
// weight * x, and 0 where the weight is 0 even if x is infinite.
template <typename T> DLCORE_INLINE Vec<T> weigh(Vec<T> weight, Vec<T> x) {
  return weight == Vec<T>{} ? weight : weight * x;
}

template <PointwiseLoss kind, typename T> struct Loss;

// p (f - y)^2
template <typename T> struct Loss<PointwiseLoss::squared, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double p) { return static_cast<T>(p) * ((f - y) * (f - y)); }
  DLCORE_INLINE static V first(V f, V y, double p) { return static_cast<T>(2 * p) * (f - y); }
  DLCORE_INLINE static V second(V, V, double p) { return splat<T>(static_cast<T>(2 * p)); }
};

// |f - y|
template <typename T> struct Loss<PointwiseLoss::absolute, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double) { return vabs<T>(f - y); }
  DLCORE_INLINE static V first(V f, V y, double) { return sign_of<T>(f - y); }
  DLCORE_INLINE static V second(V, V, double) { return V{}; }
};

// max(0, |f - y| - p)
template <typename T> struct Loss<PointwiseLoss::epsilon_insensitive, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double p) {
    const V size = vabs<T>(f - y), tube = splat<T>(static_cast<T>(p));
    return size <= tube ? V{} : size - tube;
  }
  DLCORE_INLINE static V first(V f, V y, double p) {
    const V r = f - y;
    return vabs<T>(r) <= splat<T>(static_cast<T>(p)) ? V{} : sign_of<T>(r);
  }
  DLCORE_INLINE static V second(V, V, double) { return V{}; }
};

// 1 where |f - y| > p, else 0, decided as if f - y were not rounded; NaN counts as outside.
template <typename T> struct Loss<PointwiseLoss::tolerance, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double p) {
    const V r = f - y, from_y = r - f;
    const V lost = (f - (r - from_y)) - (y + from_y);  // exact (Knuth)
    const V size = vabs<T>(r), limit = splat<T>(static_cast<T>(p));
    const V beyond = r < V{} ? -lost : lost;
    const V at_limit = beyond > V{} ? splat<T>(1) : V{};
    const V inside = size == limit ? at_limit : splat<T>(1);
    return f == y ? V{} : (size < limit ? V{} : inside);
  }
};

// 1 where f != y, else 0.
template <typename T> struct Loss<PointwiseLoss::zero_one, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double) { return f == y ? V{} : splat<T>(1); }
};

// r^2 / 2 for |r| <= p, p (|r| - p / 2) beyond; r = f - y.
template <typename T> struct Loss<PointwiseLoss::huber, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double p) {
    const V r = f - y, size = vabs<T>(r), delta = splat<T>(static_cast<T>(p));
    return size <= delta ? T{0.5} * (r * r) : delta * (size - T{0.5} * delta);
  }
  DLCORE_INLINE static V first(V f, V y, double p) {
    return detail::at_most<T>(detail::at_least<T>(f - y, static_cast<T>(-p)), static_cast<T>(p));
  }
  DLCORE_INLINE static V second(V f, V y, double p) {
    return vabs<T>(f - y) <= splat<T>(static_cast<T>(p)) ? splat<T>(1) : V{};
  }
};

// log cosh (f - y)
template <typename T> struct Loss<PointwiseLoss::log_cosh, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double) {
    // cosh a - 1 = m^2 / (2 (1 + m)) with m = e^a - 1 does not cancel for small a.
    const V a = vabs<T>(f - y), m = vexpm1<T>(detail::at_most<T>(a, T{1}));
    const V large = a + (vlog1p<T>(exp_minus<T>(2 * a)) - static_cast<T>(0.69314718055994530942));
    return a <= splat<T>(1) ? vlog1p<T>(m * m / (2 * (1 + m))) : large;
  }
  DLCORE_INLINE static V first(V f, V y, double) { return vtanh<T>(f - y); }
  DLCORE_INLINE static V second(V f, V y, double) {
    const auto curvature = [](Vec<double> a, Vec<double> b) {
      const Vec<double> e = exp_minus<double>(2 * vabs<double>(a - b)), n = 1 + e;
      return 4 * e / (n * n);
    };
    return in_double<T>(curvature, f, y);
  }
};

// max(0, p - y f) for y = -1 or +1
template <typename T> struct Loss<PointwiseLoss::hinge, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V missing(V f, V y, double p) { return static_cast<T>(p) - y * f; }
  DLCORE_INLINE static V value(V f, V y, double p) {
    const V m = missing(f, y, p);
    return m <= V{} ? V{} : m;
  }
  DLCORE_INLINE static V first(V f, V y, double p) {
    const V m = missing(f, y, p);
    return m <= V{} ? V{} : (m > V{} ? -y : m);
  }
  DLCORE_INLINE static V second(V, V, double) { return V{}; }
};

// max(0, p - y f)^2 for y = -1 or +1
template <typename T> struct Loss<PointwiseLoss::squared_hinge, T> {
  using V = Vec<T>;
  using Plain = Loss<PointwiseLoss::hinge, T>;
  DLCORE_INLINE static V value(V f, V y, double p) {
    const V m = Plain::value(f, y, p);
    return m * m;
  }
  DLCORE_INLINE static V first(V f, V y, double p) { return -2 * y * Plain::value(f, y, p); }
  DLCORE_INLINE static V second(V f, V y, double p) { return Plain::missing(f, y, p) <= V{} ? V{} : splat<T>(2); }
};

// -y log s - (1 - y) log(1 - s), s = sigmoid(f)
template <typename T> struct Loss<PointwiseLoss::logistic, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double) {
    // |f| (1 - y) or |f| y, and log1p(e^-|f|): neither cancels.
    const V size = vabs<T>(f);
    return weigh<T>(f < V{} ? y : 1 - y, size) + vsoftplus<T>(-size);
  }
  DLCORE_INLINE static V first(V f, V y, double) {
    // With q = sigmoid(-|f|): exact where the prediction is right and certain.
    const V e = exp_minus<T>(vabs<T>(f)), q = e / (1 + e);
    return f < V{} ? q - y : (1 - y) - q;
  }
  DLCORE_INLINE static V second(V f, V, double) {
    const V e = exp_minus<T>(vabs<T>(f)), n = 1 + e;
    return e / (n * n);
  }
};

// -y log f - (1 - y) log(1 - f)
template <typename T> struct Loss<PointwiseLoss::log_loss, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double) {
    return V{} - (weigh<T>(y, vlog<T>(f)) + weigh<T>(1 - y, vlog1p<T>(-f)));
  }
  DLCORE_INLINE static V first(V f, V y, double) {
    const V between = (f - y) / (f * (1 - f));
    return y == V{} ? 1 / (1 - f) : (y == splat<T>(1) ? -1 / f : between);
  }
  DLCORE_INLINE static V second(V f, V y, double) {
    const V rest = 1 - f;
    return weigh<T>(y, 1 / f) / (y == V{} ? splat<T>(1) : f) +
           weigh<T>(1 - y, 1 / rest) / (y == splat<T>(1) ? splat<T>(1) : rest);
  }
};

// y log(y / f)
template <typename T> struct Loss<PointwiseLoss::kl, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double) {
    constexpr T most = std::numeric_limits<T>::max(), least = std::numeric_limits<T>::min();
    const V d = y - f, ratio = y / f, apart = vlog<T>(y) - vlog<T>(f);  // apart: where the ratio leaves the format
    const V far = ratio < splat<T>(least) ? apart : (ratio > splat<T>(most) ? apart : vlog<T>(ratio));
    return weigh<T>(y, vabs<T>(d) <= T{0.5} * f ? vlog1p<T>(d / f) : far);
  }
  DLCORE_INLINE static V first(V f, V y, double) { return y == V{} ? V{} : -y / f; }
  DLCORE_INLINE static V second(V f, V y, double) { return y == V{} ? V{} : (y / f) / f; }
};

// y (log y - f), f a logarithm
template <typename T> struct Loss<PointwiseLoss::kl_log, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double) { return weigh<T>(y, vlog<T>(y) - f); }
  DLCORE_INLINE static V first(V, V y, double) { return -y; }
  DLCORE_INLINE static V second(V, V, double) { return V{}; }
};

// f - y log(f + p)
template <typename T> struct Loss<PointwiseLoss::poisson, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double p) { return f - weigh<T>(y, vlog<T>(f + static_cast<T>(p))); }
  DLCORE_INLINE static V first(V f, V y, double p) {
    const V rate = f + static_cast<T>(p);
    return y == V{} ? splat<T>(1) : (rate - y) / rate;
  }
  DLCORE_INLINE static V second(V f, V y, double p) {
    const V rate = f + static_cast<T>(p);
    return y == V{} ? V{} : (y / rate) / rate;
  }
};

// e^f - y f
template <typename T> struct Loss<PointwiseLoss::poisson_log, T> {
  using V = Vec<T>;
  DLCORE_INLINE static V value(V f, V y, double) { return vexp<T>(f) - weigh<T>(y, f); }
  DLCORE_INLINE static V first(V f, V y, double) { return vexp<T>(f) - y; }
  DLCORE_INLINE static V second(V f, V, double) { return vexp<T>(f); }
};

// k = e^(-z^2 / 2), z = (f - y) / p
template <typename T> struct Loss<PointwiseLoss::gaussian_kernel, T> {
  using V = Vec<T>;
  using D = Vec<double>;
  DLCORE_INLINE static D exponent(D f, D y, double p) {
    const D z = (f - y) / p;
    return 0.5 * (z * z);
  }
  DLCORE_INLINE static V value(V f, V y, double p) {
    return in_double<T>([p](D a, D b) { return exp_minus<double>(exponent(a, b, p)); }, f, y);
  }
  DLCORE_INLINE static V first(V f, V y, double p) {
    const auto slope = [p](D a, D b) {
      const D k = exp_minus<double>(exponent(a, b, p));
      return k == D{} ? k : (b - a) / p / p * k;
    };
    return in_double<T>(slope, f, y);
  }
  DLCORE_INLINE static V second(V f, V y, double p) {
    const auto curvature = [p](D a, D b) {
      const D half = exponent(a, b, p), k = exp_minus<double>(half);
      return k == D{} ? k : (2 * half - 1) / p / p * k;
    };
    return in_double<T>(curvature, f, y);
  }
};

// 1 - k
template <typename T> struct Loss<PointwiseLoss::correntropy, T> {
  using V = Vec<T>;
  using D = Vec<double>;
  using Kernel = Loss<PointwiseLoss::gaussian_kernel, T>;
  DLCORE_INLINE static V value(V f, V y, double p) {
    return in_double<T>([p](D a, D b) { return -vexpm1<double>(-Kernel::exponent(a, b, p)); }, f, y);
  }
  DLCORE_INLINE static V first(V f, V y, double p) { return -Kernel::first(f, y, p); }
  DLCORE_INLINE static V second(V f, V y, double p) { return -Kernel::second(f, y, p); }
};

// -q^p log s with s = sigmoid(y f), q = 1 - s, for y = -1 or +1 and p > 0
template <typename T> struct Loss<PointwiseLoss::focal, T> {
  using V = Vec<T>;
  using D = Vec<double>;
  struct Parts {
    D damped, loss, s, q, s_loss;  // q^p, -log s, s, q, -s log s
  };
  DLCORE_INLINE static Parts parts(D f, D y, double p) {
    const D u = y * f, e = exp_minus<double>(vabs<double>(u)), rest = vlog1p<double>(e);
    const D larger = 1 / (1 + e), smaller = e / (1 + e);
    const D s = u < D{} ? smaller : larger, q = u < D{} ? larger : smaller;
    const D loss = u < D{} ? rest - u : rest;
    const D damped = p == 2 ? q * q : exp_minus<double>(p * (u > D{} ? rest + u : rest));
    return {damped, loss, s, q, weigh<double>(s, loss)};
  }
  DLCORE_INLINE static V value(V f, V y, double p) {
    const auto loss = [p](D a, D b) {
      const Parts x = parts(a, b, p);
      return weigh<double>(x.damped, x.loss);
    };
    return in_double<T>(loss, f, y);
  }
  DLCORE_INLINE static V first(V f, V y, double p) {
    const auto slope = [p](D a, D b) {
      const Parts x = parts(a, b, p);
      return -b * x.damped * (p * x.s_loss + x.q);
    };
    return in_double<T>(slope, f, y);
  }
  DLCORE_INLINE static V second(V f, V y, double p) {
    const auto curvature = [p](D a, D b) {
      const Parts x = parts(a, b, p);
      return x.damped * (p * x.s_loss * (p * x.s - x.q) + (2 * p + 1) * x.s * x.q);
    };
    return in_double<T>(curvature, f, y);
  }
};

}  // namespace pointwise
}  // namespace dlcore::DLCORE_DEVICE
