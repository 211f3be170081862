// Elementary functions on whole vectors: branch-free, no tables, no errno. Written with the operators of vec.h alone.
// Infinities, NaN, signed zeros and denormals (in and out) behave as in C's <math.h>. The bounds, in units in the last
// place (ulp), are the largest errors found with and without FMA, over every 23rd float and 4 million doubles.
// Polynomials without a source are minimax fits by Remez exchange.
#pragma once

#include <limits>

#include "vec.h"

#ifndef DLCORE_LANES

namespace dlcore::DLCORE_DEVICE {
namespace detail {

template <typename T> using Bits = Vec<UIntOf<T>>;

template <typename T> struct Format;
template <> struct Format<float> {
  static constexpr int fraction_bits = 23;
  static constexpr std::uint32_t one = 0x3f800000;        // bits of 1
  static constexpr std::uint32_t sqrt_half = 0x3f3504f3;  // bits of sqrt(1/2)
  static constexpr std::uint32_t integer = 0x4b400000;    // bits of 1.5 * 2^23: adding it rounds to an integer
  static constexpr float ln2_high = 0x1.62e8p-1F;         // 14 bits: exact when multiplied by an exponent
  static constexpr float ln2_low = -0x1.e8082ep-16F;
  static constexpr float exp_high = 89, exp_low = -104;  // beyond: overflow, and less than half the least denormal
  static constexpr float expm1_low = -25;                // expm1 rounds to -1 below
  static constexpr float tanh_high = 9.5F;               // tanh rounds to 1 above
  static constexpr float denormal_scale = 0x1p25F;
  static constexpr int denormal_exponent = 25;
};
template <> struct Format<double> {
  static constexpr int fraction_bits = 52;
  static constexpr std::uint64_t one = 0x3ff0000000000000;
  static constexpr std::uint64_t sqrt_half = 0x3fe6a09e667f3bcd;
  static constexpr std::uint64_t integer = 0x4338000000000000;
  static constexpr double ln2_high = 0x1.62e42fefa4p-1;  // 41 bits
  static constexpr double ln2_low = -0x1.8432a1b0e2634p-43;
  static constexpr double exp_high = 710, exp_low = -746;
  static constexpr double expm1_low = -40;
  static constexpr double tanh_high = 20;
  static constexpr double denormal_scale = 0x1p54;
  static constexpr int denormal_exponent = 54;
};

template <typename T> inline constexpr T infinity = std::numeric_limits<T>::infinity();
template <typename T> inline constexpr UIntOf<T> sign_bit = UIntOf<T>{1} << (8 * sizeof(T) - 1);

template <typename T> DLCORE_INLINE Vec<T> from_bits(Bits<T> bits) { return bit_cast_vec<Vec<T>>(bits); }
template <typename T> DLCORE_INLINE Bits<T> to_bits(Vec<T> x) { return bit_cast_vec<Bits<T>>(x); }

// c0 + c1 x + c2 x^2 + ..., by Horner's rule.
template <typename V, typename T> DLCORE_INLINE V polynomial(V, T c) { return c - V{}; }
template <typename V, typename T, typename... Rest> DLCORE_INLINE V polynomial(V x, T c, Rest... rest) {
  return polynomial(x, rest...) * x + c;
}
// The same by Horner's rule on the even and the odd coefficients in `square` = x^2: half the chain of dependent
// operations, a little more rounding.
template <typename V, typename T> DLCORE_INLINE V every_second(V, T c) { return c - V{}; }
template <typename V, typename T> DLCORE_INLINE V every_second(V, T c, T) { return c - V{}; }
template <typename V, typename T, typename... Rest> DLCORE_INLINE V every_second(V square, T c, T, Rest... rest) {
  return every_second(square, rest...) * square + c;
}
template <typename V, typename T, typename... Rest> DLCORE_INLINE V split_polynomial(V x, V square, T c, Rest... rest) {
  return every_second(square, rest...) * x + every_second(square, c, rest...);
}

// x = n ln 2 + r with an integer n and |r| <= ln(2) / 2. `code` keeps n in its low bits: n + 2 * exponent bias.
template <typename T> struct Reduced {
  Bits<T> code;
  Vec<T> n, r;
};
template <typename T> DLCORE_INLINE Reduced<T> reduce(Vec<T> x) {
  using F = Format<T>;
  constexpr T log2e = static_cast<T>(1.4426950408889634);
  constexpr int bias = std::numeric_limits<T>::max_exponent - 1;
  constexpr T shift = T{3} * (T{1} / std::numeric_limits<T>::epsilon()) / 2 + 2 * bias;
  const Vec<T> shifted = x * log2e + shift;
  const Vec<T> n = shifted - shift;
  return {to_bits<T>(shifted), n, (x - n * F::ln2_high) - n * F::ln2_low};
}

// y 2^n in two steps, so that a denormal result is rounded once and 2^n itself may lie outside the format.
template <typename T> DLCORE_INLINE Vec<T> scale_by_exponent(Vec<T> y, Bits<T> code) {
  constexpr int fraction = Format<T>::fraction_bits;
  const Bits<T> half = code >> 1;
  return y * from_bits<T>(half << fraction) * from_bits<T>((code - half) << fraction);
}

// e^r - 1 for |r| <= ln(2) / 2; relative error of the polynomial 3.3e-9 (float) and 1e-18 (double).
DLCORE_INLINE Vec<float> expm1_reduced(Vec<float> r) {
  const Vec<float> square = r * r;
  return r + square * split_polynomial(r, square, 0.5F, 0x1.55552cp-3F, 0x1.555502p-5F, 0x1.1155aap-7F, 0x1.6d2e5p-10F,
                                       0x1.3b86b6p-13F);
}
DLCORE_INLINE Vec<double> expm1_reduced(Vec<double> r) {
  return r + r * r *
                 polynomial(r, 0.5, 0x1.5555555555559p-3, 0x1.555555555553fp-5, 0x1.111111110f6dfp-7,
                            0x1.6c16c16c1f05bp-10, 0x1.a01a01afd194bp-13, 0x1.a01a017bccb8ap-16, 0x1.71ddf88525ff7p-19,
                            0x1.27e536247b96ap-22, 0x1.af5e68cfaaf9dp-26, 0x1.1ee88af31fdcbp-29);
}

// For exp_low <= x <= exp_high; NaN stays.
template <typename T> DLCORE_INLINE Vec<T> exp_in_range(Vec<T> x) {
  const Reduced<T> reduced = reduce<T>(x);
  return scale_by_exponent<T>(1 + expm1_reduced(reduced.r), reduced.code);
}

template <typename T> DLCORE_INLINE Vec<T> at_least(Vec<T> x, T low) { return x < splat<T>(low) ? splat<T>(low) : x; }
template <typename T> DLCORE_INLINE Vec<T> at_most(Vec<T> x, T high) { return x > splat<T>(high) ? splat<T>(high) : x; }
template <typename T> DLCORE_INLINE Vec<T> with_sign_of(Vec<T> magnitude, Vec<T> sign) {
  return from_bits<T>(to_bits<T>(magnitude) | (to_bits<T>(sign) & sign_bit<T>));
}

// log(1 + f) + k ln 2 for 1 + f in [sqrt(1/2), sqrt(2)], k an integer.
// f - f^2/2 + f^3 P(f); relative error of the polynomial 2.2e-9.
DLCORE_INLINE Vec<float> log_reduced(Vec<float> f, Vec<float> k) {
  const Vec<float> square = f * f;
  const Vec<float> p =
      split_polynomial(f, square, 0x1.555548p-2F, -0x1.00007p-2F, 0x1.99a542p-3F, -0x1.552f1p-3F, 0x1.2302f8p-3F,
                       -0x1.010450p-3F, 0x1.f0033ep-4F, -0x1.bf574cp-4F, 0x1.b5f10cp-5F);
  return k * Format<float>::ln2_high + (f + (square * (f * p - 0.5F) + k * Format<float>::ln2_low));
}
// 2 atanh(s), s = f / (2 + f), arranged as in fdlibm's e_log.c (Sun Microsystems, 1993); polynomial 1.2e-18.
DLCORE_INLINE Vec<double> log_reduced(Vec<double> f, Vec<double> k) {
  const Vec<double> s = f / (2 + f), z = s * s, half_square = 0.5 * f * f;
  const Vec<double> tail =
      z * split_polynomial(z, z * z, 0x1.5555555555592p-1, 0x1.999999997ff63p-2, 0x1.24924941db49ap-2,
                           0x1.c71c521a17e6bp-3, 0x1.74663ba3c7d68p-3, 0x1.39a20b943830dp-3, 0x1.2f02524c5e0c8p-3);
  const Vec<double> correction = s * (half_square + tail) + k * Format<double>::ln2_low;
  return k * Format<double>::ln2_high - ((half_square - correction) - f);
}

// x = 2^k (1 + f) for a positive normal x; `power` has the bits of 2^k.
template <typename T> struct Decomposed {
  Vec<T> f, k;
  Bits<T> power;
};
template <typename T> DLCORE_INLINE Decomposed<T> decompose(Vec<T> x) {
  using F = Format<T>;
  constexpr UIntOf<T> fraction_mask = (UIntOf<T>{1} << F::fraction_bits) - 1;
  constexpr T integer_shift = T{3} * (T{1} / std::numeric_limits<T>::epsilon()) / 2;
  constexpr T bias = std::numeric_limits<T>::max_exponent - 1;
  const Bits<T> bits = to_bits<T>(x) + (F::one - F::sqrt_half);
  const Vec<T> k = from_bits<T>((bits >> F::fraction_bits) + F::integer) - (integer_shift + bias);
  return {from_bits<T>((bits & fraction_mask) + F::sqrt_half) - 1, k, bits & ~fraction_mask};
}

// log(u + lost), `lost` being what rounding left out of u >= 1/2; of u = 1 + x it is log(1 + x), for tiny x too.
template <typename T> DLCORE_INLINE Vec<T> log_of_sum(Vec<T> u, Vec<T> lost) {
  const Decomposed<T> d = decompose<T>(u);
  // Beyond 2^64 `lost` does not matter, and 2^-k is not representable for the largest k.
  const Vec<T> scaled = lost * from_bits<T>(2 * Format<T>::one - d.power);
  return log_reduced(d.f + (u > splat<T>(T{0x1p64F}) ? Vec<T>{} : scaled), d.k);  // NaN: through `lost`
}

// x = n pi/2 + r + rest for |x| <= trig_limit, |r| <= pi/4 (a little more for float), `rest` far below the last place.
// pi/2 in three parts, the first two of 33 bits (fdlibm's e_rem_pio2.c): exact when multiplied by n < 2^20.
template <typename T> struct Quarters {
  Bits<T> n;
  Vec<T> r, rest;
};
DLCORE_INLINE Quarters<double> reduce_quarters(Vec<double> x) {
  constexpr double shift = 0x1.8p52;
  const Vec<double> shifted = x * 0x1.45f306dc9c883p-1 + shift, n = shifted - shift;
  const Vec<double> first = x - n * 0x1.921fb544p0, second = n * 0x1.0b4611a6p-34, r = first - second;
  return {to_bits<double>(shifted), r, ((first - r) - second) - n * 0x1.3198a2e037073p-69};
}
DLCORE_INLINE Quarters<float> reduce_quarters(Vec<float> x) {  // in double
  typedef double Wide __attribute__((vector_size(2 * vector_bytes)));
  constexpr float shift = 0x1.8p23F;
  const Vec<float> shifted = x * 0x1.45f306p-1F + shift;
  const Wide wide_x = __builtin_convertvector(x, Wide), n = __builtin_convertvector(shifted - shift, Wide);
  const Wide r = (wide_x - n * 0x1.921fb544p0) - n * 0x1.0b4611a626331p-34;
  return {to_bits<float>(shifted), __builtin_convertvector(r, Vec<float>), Vec<float>{}};
}

// (sin r - r) / r^3 and (cos r - 1 + r^2 / 2) / r^4 as polynomials of z = r^2: Cephes' sinf.c (Moshier, 1992) and
// fdlibm's k_sin.c and k_cos.c (Sun Microsystems, 1993).
DLCORE_INLINE Vec<float> sin_tail(Vec<float> z) {
  return polynomial(z, -1.6666654611e-1F, 8.3321608736e-3F, -1.9515295891e-4F);
}
DLCORE_INLINE Vec<float> cos_tail(Vec<float> z) {
  return polynomial(z, 4.166664568298827e-2F, -1.388731625493765e-3F, 2.443315711809948e-5F);
}
DLCORE_INLINE Vec<double> sin_tail(Vec<double> z) {
  return polynomial(z, -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
                    2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10);
}
DLCORE_INLINE Vec<double> cos_tail(Vec<double> z) {
  return polynomial(z, 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
                    -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11);
}

// sin(x + ahead pi/2)
template <typename T> DLCORE_INLINE Vec<T> sin_ahead(Vec<T> x, UIntOf<T> ahead) {
  const Quarters<T> reduced = reduce_quarters(x);
  const Bits<T> n = reduced.n + ahead;
  const Vec<T> r = reduced.r, z = r * r, half = T{0.5} * z, top = 1 - half;
  Vec<T> below_sine = r * z * sin_tail(z), below_cosine = z * z * cos_tail(z) + ((1 - top) - half);
  if constexpr (sizeof(T) == 8) {
    below_sine += reduced.rest * top;
    below_cosine -= reduced.rest * r;
  }
  const Vec<T> sine = z == Vec<T>{} ? r : r + below_sine, cosine = top + below_cosine;  // the test keeps the sign of 0
  const Vec<T> y = (n & 1) != Bits<T>{} ? cosine : sine;
  return from_bits<T>(to_bits<T>(y) ^ (n << (8 * sizeof(T) - 2) & sign_bit<T>));
}

}  // namespace detail

template <typename T> DLCORE_INLINE Vec<T> vabs(Vec<T> x) {
  return detail::from_bits<T>(detail::to_bits<T>(x) & ~detail::sign_bit<T>);
}

// e^x; 1 ulp.
template <typename T> DLCORE_INLINE Vec<T> vexp(Vec<T> x) {
  using F = detail::Format<T>;
  return detail::exp_in_range<T>(detail::at_most<T>(detail::at_least<T>(x, F::exp_low), F::exp_high));
}

// e^x - 1; 2 ulp.
template <typename T> DLCORE_INLINE Vec<T> vexpm1(Vec<T> x) {
  using F = detail::Format<T>;
  const detail::Reduced<T> reduced =
      detail::reduce<T>(detail::at_most<T>(detail::at_least<T>(x, F::expm1_low), F::exp_high));
  // 2^n (p + (1 - 2^-n)); 2^-n is far below the rounding error from n = 64 on, and not representable for the largest n.
  constexpr int bias = std::numeric_limits<T>::max_exponent - 1;
  const Vec<T> n = detail::at_most<T>(reduced.n, T{64});
  constexpr T shift = T{3} * (T{1} / std::numeric_limits<T>::epsilon()) / 2 + bias;
  const Vec<T> power = detail::from_bits<T>(detail::to_bits<T>(shift - n) << F::fraction_bits);  // 2^-n
  const Vec<T> y = detail::scale_by_exponent<T>(detail::expm1_reduced(reduced.r) + (1 - power), reduced.code);
  return x == Vec<T>{} ? x : y;
}

// log x; 0.9 ulp.
template <typename T> DLCORE_INLINE Vec<T> vlog(Vec<T> x) {
  using F = detail::Format<T>;
  const auto tiny = x < splat<T>(std::numeric_limits<T>::min());
  const detail::Decomposed<T> d = detail::decompose<T>(tiny ? x * F::denormal_scale : x);
  const Vec<T> k = tiny ? d.k - T{F::denormal_exponent} : d.k;
  const Vec<T> y = detail::log_reduced(d.f, k);
  const Vec<T> finite = x < splat<T>(detail::infinity<T>) ? y : x;
  const Vec<T> nan = splat<T>(std::numeric_limits<T>::quiet_NaN());
  return x > Vec<T>{} ? finite : (x == Vec<T>{} ? splat<T>(-detail::infinity<T>) : nan);
}

// log(1 + x); 1.6 ulp.
template <typename T> DLCORE_INLINE Vec<T> vlog1p(Vec<T> x) {
  const Vec<T> u = 1 + x;
  const Vec<T> back = u - 1;
  const Vec<T> y = detail::log_of_sum<T>(u, (1 - (u - back)) + (x - back));  // exact, whichever is larger (Knuth)
  const Vec<T> finite = x < splat<T>(detail::infinity<T>) ? (x == Vec<T>{} ? x : y) : x;
  const Vec<T> nan = splat<T>(std::numeric_limits<T>::quiet_NaN());
  return x > splat<T>(-1) ? finite : (x == splat<T>(-1) ? splat<T>(-detail::infinity<T>) : nan);
}

// 1 / (1 + e^-x); 1.9 ulp. With e = e^-|x| and q = e / (1 + e) it is 1 - q, or e - e q, which rounds less than q does.
template <typename T> DLCORE_INLINE Vec<T> vsigmoid(Vec<T> x) {
  const Vec<T> e = detail::exp_in_range<T>(detail::at_least<T>(-vabs<T>(x), detail::Format<T>::exp_low));
  const Vec<T> factor = x < Vec<T>{} ? e : splat<T>(1);
  return factor - factor * (e / (1 + e));
}

// tanh x; 2 ulp, 2.2 without FMA. With h = (e^2|x| - 1) / 2 it is q = h / (1 + h), or h - h q, which rounds
// less where h is small.
template <typename T> DLCORE_INLINE Vec<T> vtanh(Vec<T> x) {
  using F = detail::Format<T>;
  constexpr int bias = std::numeric_limits<T>::max_exponent - 1;
  const detail::Reduced<T> reduced = detail::reduce<T>(2 * detail::at_most<T>(vabs<T>(x), F::tanh_high));
  const Vec<T> power = detail::from_bits<T>((reduced.code - (bias + 1)) << F::fraction_bits);  // 2^(n - 1)
  const Vec<T> h = detail::expm1_reduced(reduced.r) * power + (power - T{0.5});
  const Vec<T> q = h / (1 + h);
  return detail::with_sign_of<T>(h < splat<T>(T{0.5}) ? h - h * q : q, x);
}

// 2 ulp, for |x| <= trig_limit only: others need a longer reduction.
inline constexpr double trig_limit = 1e6;
template <typename T> DLCORE_INLINE Vec<T> vsin(Vec<T> x) { return detail::sin_ahead<T>(x, 0); }
template <typename T> DLCORE_INLINE Vec<T> vcos(Vec<T> x) { return detail::sin_ahead<T>(x, 1); }

// log(1 + e^x); 1.8 ulp.
template <typename T> DLCORE_INLINE Vec<T> vsoftplus(Vec<T> x) {
  const Vec<T> e = detail::exp_in_range<T>(detail::at_least<T>(-vabs<T>(x), detail::Format<T>::exp_low));
  const Vec<T> u = 1 + e;
  return (x > Vec<T>{} ? x : Vec<T>{}) + detail::log_of_sum<T>(u, e - (u - 1));
}

// f in double: where an exponential magnifies the rounding of its argument, single precision keeps six digits only so.
template <typename T, typename F> DLCORE_INLINE Vec<T> in_double(const F& f, Vec<T> a, Vec<T> b) {
  if constexpr (sizeof(T) == 8) {
    return f(a, b);
  } else {
    typedef double Wide __attribute__((vector_size(2 * vector_bytes)));
    struct Halves {
      Vec<double> half[2];
    };
    const Halves from_a = bit_cast_vec<Halves>(__builtin_convertvector(a, Wide));
    const Halves from_b = bit_cast_vec<Halves>(__builtin_convertvector(b, Wide));
    Halves y;
#pragma GCC unroll 1  // f's code once
    for (int i = 0; i < 2; ++i) y.half[i] = f(from_a.half[i], from_b.half[i]);
    return __builtin_convertvector(bit_cast_vec<Wide>(y), Vec<T>);
  }
}

}  // namespace dlcore::DLCORE_DEVICE

#endif
