"""SciPy's sparse matrices as cases: the bits of the same dense ones, and clear words for broken ones."""

from types import SimpleNamespace

import numpy as np
import pytest
from dlcore.models import RBM
from machines import bars

sparse = pytest.importorskip("scipy.sparse")

X = bars(70) * np.random.default_rng(0).random((70, 16)).astype(np.float32)
FORMATS = ["csr_matrix", "csr_array", "csc_matrix", "coo_array"]


def model(**options):
    return RBM(16, 5, seed=3, **options)


@pytest.mark.parametrize("form", FORMATS)
def test_fit_has_the_bits_of_dense_cases(form):
    for options in ({}, {"persistent": True, "n_chains": 7}, {"tempering": 2, "n_chains": 7}, {"centered": True}):
        dense, thin = model(**options), model(**options)
        arguments = {"epochs": 2, "batch_size": 20, "watch": "pseudo_log_likelihood"}
        a = dense.fit(X, validation_data=X[:20], **arguments)
        b = thin.fit(getattr(sparse, form)(X), validation_data=getattr(sparse, form)(X[:20]), **arguments)
        assert np.array_equal(dense.parameters.storage.numpy(), thin.parameters.storage.numpy())
        for record, other in zip(a.records, b.records, strict=True):
            assert {**record, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_methods_take_them(dtype):
    rbm, thin = model(dtype=dtype), sparse.csr_matrix(X)
    assert np.array_equal(rbm.transform(thin), rbm.transform(X))
    assert np.array_equal(rbm.free_energy(thin), rbm.free_energy(X))
    assert np.array_equal(rbm.clone().cd_gradient(thin).numpy(), rbm.clone().cd_gradient(X).numpy())
    weight = np.arange(70)
    assert np.array_equal(rbm.clone().cd_gradient(thin, weight).numpy(), rbm.clone().cd_gradient(X, weight).numpy())
    sparse_fit, dense_fit = rbm.clone().partial_fit(thin), rbm.clone().partial_fit(X)
    assert sparse_fit.stream.figures == dense_fit.stream.figures
    assert np.array_equal(sparse_fit.parameters.storage.numpy(), dense_fit.parameters.storage.numpy())
    empty = sparse.csr_matrix((0, 16))
    assert rbm.transform(empty).shape == (0, 5)
    assert rbm.free_energy(empty).shape == (0,)


def test_many_rows_are_made_dense_in_blocks():
    rng = np.random.default_rng(1)
    x = (rng.random((2500, 16)) < 0.2).astype(np.float32)
    rbm = model()
    assert np.array_equal(rbm.transform(sparse.csr_array(x)), rbm.transform(x))
    assert np.array_equal(rbm.free_energy(sparse.csr_array(x)), rbm.free_energy(x))


def test_entries_of_one_place_are_added():
    twice = sparse.coo_matrix(([0.25, 0.5, 1.0], ([0, 0, 1], [3, 3, 2])), shape=(2, 16)).tocsr()
    raw = sparse.csr_matrix((np.array([0.5, 1.0, 0.25]), np.array([3, 2, 3]), np.array([0, 3])), shape=(1, 16))
    rbm = model()
    assert np.array_equal(rbm.free_energy(twice), rbm.free_energy(twice.toarray()))
    assert np.array_equal(rbm.free_energy(raw), rbm.free_energy(raw.toarray()))


def test_other_units():
    rbm = RBM(5, 3, visible=[("softmax", 3), ("gaussian", 2)])
    x = np.array([[1, 0, 0, -2.5, 0], [0, 0, 1, 0, 7]], np.float32)
    assert np.array_equal(rbm.free_energy(sparse.csr_matrix(x)), rbm.free_energy(x))
    with pytest.raises(ValueError) as raised:
        rbm.free_energy(sparse.csr_matrix((2, 5)))
    expected = "free_energy: the softmax group 0 to 2 of x, counted from row 0, adds to 0 in row 0, expected 1"
    assert str(raised.value) == expected


def broken(data=(1.0, 1.0), indices=(1, 15), indptr=(0, 1, 2), shape=(2, 16), integer=np.int32):
    made = SimpleNamespace(data=np.array(data), indices=np.array(indices, integer), indptr=np.array(indptr, integer))
    made.shape, made.tocsr = shape, lambda: made
    return made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (2, 17)}, "x has shape (2, 17), expected (n, 16)"),
        ({"data": (1j, 1)}, "x has dtype complex128, expected real numbers"),
        ({"data": (1.0,)}, "x.data has shape (1,), x.indices (2,), expected one for each entry"),
        ({"indptr": (0, 2)}, "x.indptr has 2 numbers, expected 3 for 2 rows"),
        ({"indptr": (0, 2, 1)}, "x.indptr falls after row 1, expected it to rise from 0 to at most 2 entries"),
        ({"indptr": (1, 1, 2)}, "x.indptr goes from 1 to 2, expected it to rise from 0 to at most 2 entries"),
        ({"indptr": (0, 1, 3)}, "x.indptr goes from 0 to 3, expected it to rise from 0 to at most 2 entries"),
        ({"indices": (1, 16)}, "x.indices[1] is 16, expected 0 <= index < 16"),
        ({"indices": (-1, 3)}, "x.indices[0] is -1, expected 0 <= index < 16"),
        ({"indices": (0.0, 3.0), "integer": np.float32},
         "x.indices is 1-dimensional float32, expected a row of integers"),
        ({"data": (1.0, np.nan)}, "x has nan in row 1, expected values in [0, 1]"),
        ({"data": (1.5, 1.0)}, "x has 1.5 in row 0, expected values in [0, 1]"),
    ],
)  # fmt: skip
def test_broken_matrices_are_refused(change, message):
    with pytest.raises((TypeError, ValueError)) as raised:
        model().fit(broken(**change))
    assert str(raised.value) == f"fit: {message}"
