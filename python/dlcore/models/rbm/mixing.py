"""How well chains have mixed: R-hat and effective sample sizes, from arrays of draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import Array

KINDS = ("bulk", "tail", "mean")
LEAST_DRAWS = 4  # two to each half of a chain
_TAILS = (0.05, 0.95)

# Wichura (1988), algorithm AS 241: numerators and denominators, highest power first, around the middle and beyond it.
_MIDDLE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
_BEYOND = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)  # fmt: skip


def r_hat(draws: Any) -> Any:
    """Rank-normalised split R̂ = max over bulk and folded ranks of √(((n − 1)/n W + B/n) / W); 1 where chains agree.

    Chains are cut into halves of n draws; draws are replaced by Φ⁻¹((rank − 3/8) / (S + 1/4)), of all S; W is the mean
    of the variances within, B n times the variance between the halves' means. The folded ranks are those of |x −
    median|, which show chains of equal means and unequal widths.

    Parameters
    ----------
    draws : (n_chains >= 1, n_draws >= 4, ...), one quantity for each of the further axes

    Returns
    -------
    float, or an array of the further axes; above 1.01 the chains have not mixed. NaN where draws are all equal or not
    finite

    Raises
    ------
    TypeError, ValueError
        For arrays of another kind or shape.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter, Bürkner (2021), Rank-normalization, folding, and localization: an improved R̂
    for assessing convergence of MCMC, equations 1 to 4 and 14.
    """
    x, shape = _columns(draws, "r_hat")
    halves = _halves(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        folded = np.abs(halves - np.median(halves, axis=(0, 1)))
        found = np.maximum(_split_r_hat(_normalised(halves)), _split_r_hat(_normalised(folded)))
    return _shaped(np.where(_informative(x), found, np.nan), shape)


def effective_sample_size(draws: Any, kind: str = "bulk") -> Any:
    """n_chains · n_draws / τ, τ = −1 + 2 Σ P_t: how many independent draws have the same standard error.

    P_t = ρ_2t + ρ_2t+1 are pairs of autocorrelations of all chains, cut into halves, against their common variance;
    the sum ends before the first P_t that is not positive, and no P_t counts more than those before it (Geyer's initial
    monotone sequence), as in Stan. τ is at least 1 / log₁₀(n_chains · n_draws).

    Parameters
    ----------
    draws : (n_chains >= 1, n_draws >= 4, ...), one quantity for each of the further axes
    kind : "bulk", of the ranks, normalised as in `r_hat`: of the location; "tail", the smaller of those of the
        indicators of the lowest and the highest twentieth; "mean", of the draws as they are

    Returns
    -------
    float, or an array of the further axes; NaN where draws are all equal or not finite

    Raises
    ------
    TypeError, ValueError
        For arrays of another kind or shape, or an unknown kind.

    References
    ----------
    Geyer (1992), Practical Markov chain Monte Carlo; Vehtari et al. (2021), equations 5 to 13.
    """
    if kind not in KINDS:
        raise ValueError(f"effective_sample_size: kind is {kind!r}, expected one of {', '.join(KINDS)}")
    x, shape = _columns(draws, "effective_sample_size")
    good = _informative(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == "tail":
            below = [np.asarray(x <= np.quantile(x, q, axis=(0, 1)), np.float64) for q in _TAILS]
            lower, upper = (np.where(_informative(part), _effective(_halves(part)), np.nan) for part in below)
            found = np.fmin(lower, upper)  # of few values, one twentieth may hold all draws or none
        else:
            halves = _halves(x)
            found = _effective(_normalised(halves) if kind == "bulk" else halves)
    return _shaped(np.where(good, found, np.nan), shape)


def _columns(draws: Any, who: str) -> tuple[Array, tuple[int, ...]]:
    """The draws as (n_chains, n_draws, quantities) float64, and the shape of the quantities."""
    x = np.asarray(draws)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{who}: draws has dtype {x.dtype}, expected real numbers")
    if x.ndim < 2 or x.size == 0 or x.shape[1] < LEAST_DRAWS:
        raise ValueError(f"{who}: draws has shape {x.shape}, expected (n_chains >= 1, n_draws >= {LEAST_DRAWS}, ...)")
    quantities = int(np.prod(x.shape[2:], dtype=np.int64))
    return x.astype(np.float64).reshape(*x.shape[:2], quantities), x.shape[2:]


def _shaped(found: Array, shape: tuple[int, ...]) -> Any:
    return found.reshape(shape) if shape else float(found[0])


def _informative(x: Array) -> Array:
    """Which quantities are finite and not constant."""
    return np.asarray(np.isfinite(x).all(axis=(0, 1)) & (x.max(axis=(0, 1)) > x.min(axis=(0, 1))))


def _halves(x: Array) -> Array:
    """Each chain as two; an odd draw in the middle is left out."""
    half = x.shape[1] // 2
    return np.concatenate([x[:, :half], x[:, x.shape[1] - half :]])


def _normalised(x: Array) -> Array:
    """Normal scores of the ranks of all chains together; equal draws share their mean rank."""
    flat = x.reshape(-1, x.shape[2])
    count = flat.shape[0]
    order = np.argsort(flat, axis=0, kind="stable")
    ordered = np.take_along_axis(flat, order, 0)
    place = np.arange(count)[:, None]
    differs = ordered[1:] != ordered[:-1]
    edge = np.ones((1, flat.shape[1]), bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, differs]), place, 0), 0)
    last = np.minimum.accumulate(np.where(np.concatenate([differs, edge]), place, count)[::-1], 0)[::-1]
    scores = np.empty(flat.shape)
    np.put_along_axis(scores, order, normal_quantile(((first + last) / 2 + 1 - 0.375) / (count + 0.25)), 0)
    return np.reshape(scores, x.shape)


def normal_quantile(p: Array) -> Array:
    """Φ⁻¹(p) of p in [1.4e-11, 1 − 1.4e-11], to about 1e-15 of its size.

    References
    ----------
    Wichura (1988), Algorithm AS 241: the percentage points of the normal distribution.
    """
    q = p - 0.5
    middle = np.abs(q) <= 0.425
    inner = 0.180625 - np.where(middle, q, 0.0) ** 2
    outer = np.sqrt(-np.log(np.where(middle, 0.5, np.minimum(p, 1.0 - p)))) - 1.6
    return np.where(middle, q * _ratio(_MIDDLE, inner), np.sign(q) * _ratio(_BEYOND, outer))


def _ratio(polynomials: tuple[tuple[float, ...], tuple[float, ...]], r: Array) -> Array:
    above, below = (np.polyval(np.array(p), r) for p in polynomials)
    return np.asarray(above / below)


def _split_r_hat(x: Array) -> Array:
    n = x.shape[1]
    within = x.var(axis=1, ddof=1).mean(axis=0)
    between = x.mean(axis=1).var(axis=0, ddof=1)  # B / n
    return np.asarray(np.sqrt((n - 1) / n + between / within))


def _effective(x: Array) -> Array:
    chains, n, _ = x.shape
    covariance = _autocovariance(x).mean(axis=0)  # (n, quantities)
    within = covariance[0] * n / (n - 1)
    common = covariance[0] + x.mean(axis=1).var(axis=0, ddof=1)
    rho = 1.0 - (within - covariance) / common
    rho[0] = 1.0
    pairs = max((n - 3) // 2, 0) + 1  # the last autocorrelations are of too few products
    even, odd = rho[0 : 2 * pairs : 2], rho[1 : 2 * pairs : 2]
    sums = even + odd
    ends = sums <= 0
    ends[-1] = True
    stop = np.argmax(ends, axis=0)
    counted = np.arange(pairs)[:, None] < stop
    total = np.where(counted, np.minimum.accumulate(sums, 0), 0.0).sum(axis=0)
    edge = np.take_along_axis(even, stop[None], 0)[0]  # of the pair the sum ends before: its even part if positive
    draws = chains * n
    tau = np.maximum(-1.0 + 2.0 * total + np.maximum(edge, 0.0), 1.0 / np.log10(draws))
    return np.asarray(draws / tau)


def _autocovariance(x: Array) -> Array:
    """Σ_i (x_i − mean)(x_i+t − mean) / n at each lag t along axis 1, by the Fourier transform."""
    n = x.shape[1]
    size = 1 << (2 * n - 1).bit_length()  # room for all lags without wrapping around
    transformed = np.fft.rfft(x - x.mean(axis=1, keepdims=True), size, axis=1)
    return np.asarray(np.fft.irfft(transformed * transformed.conj(), size, axis=1)[:, :n] / n)
