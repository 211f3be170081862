"""Tensor: a contiguous array on a device, and the border to NumPy and DLPack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import device as _device
from . import placement

if TYPE_CHECKING:
    from .tape import Tape

float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
int32 = np.dtype(np.int32)
DTYPES: dict[str, np.dtype[Any]] = {"float32": float32, "float64": float64, "int32": int32}

CPU, CUDA = (1, 0), 2  # a place and a kind of device, as DLPack numbers them

Number: TypeAlias = int | float


class Tensor:
    """A contiguous array on a device, and its place on a tape while one records.

    Make one with :func:`tensor` (copies) or `dlcore.from_dlpack` (shares). Operators follow NumPy's broadcasting;
    float32 and float64 do not mix. Comparisons are elementwise and give 1 or 0 in the operands' dtype, constants to
    every derivative; where a tensor is a dictionary's key its identity counts.
    """

    __array_priority__ = 1000  # ndarray + Tensor asks Tensor first
    __slots__ = ("__weakref__", "_index", "_is_rectified", "_scattered", "_tape", "array")

    array: Any
    _tape: Tape | None
    _index: int  # set with a tape
    _is_rectified: bool  # set on outputs of a ReLU alone, and
    _scattered: tuple[Tensor, Tensor]  # on gradients of a max-pooling of such an output: see `dlcore.ops.activation`

    def __init__(self, array: Any) -> None:
        self.array = array
        self._tape = None

    if TYPE_CHECKING:

        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def ndim(self) -> int: ...
        @property
        def size(self) -> int: ...

    else:  # properties without a Python frame: ops ask for shapes all the time
        shape = property(attrgetter("array.shape"))
        ndim = property(attrgetter("array.ndim"))
        size = property(attrgetter("array.size"))

    @property
    def dtype(self) -> np.dtype[Any]:
        return DTYPES[self.array.dtype]

    @property
    def device(self) -> str:
        """Name of the device that holds the data."""
        return self.array.device_name  # type: ignore[no-any-return]

    def numpy(self) -> np.ndarray[Any, Any]:
        """A copy as a NumPy array."""
        return self.array.numpy()  # type: ignore[no-any-return]

    def item(self) -> float:
        """The value of a tensor of one element, as a Python number."""
        return self.array.item()  # type: ignore[no-any-return]

    def __float__(self) -> float:
        return float(self.array.item())

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len: the tensor has no dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"bool: the tensor has shape {self.shape}, expected one element")
        return bool(self.array.item())

    def __repr__(self) -> str:
        values = np.array2string(self.numpy(), separator=", ", prefix="tensor(", threshold=100)
        return f"tensor({values}, dtype={self.array.dtype})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy is False:
            raise ValueError("a Tensor is copied to become a NumPy array; np.from_dlpack(tensor) shares its memory")
        values = self.numpy()
        return values if dtype is None else values.astype(dtype, copy=False)

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        shared, here = self, self.__dlpack_device__()
        if dl_device is not None and tuple(dl_device) != here:
            if tuple(dl_device) != CPU or copy is False:
                raise BufferError(f"__dlpack__: device {dl_device} is asked for, the data is on {here}")
            shared, here = Tensor(moved(self.array, "cpu")), CPU
        elif copy:
            shared = Tensor(self.array.copy())
        if here == CPU:
            return shared.array.dlpack()
        # Without a word on its stream a consumer works on CUDA's default stream, 1; -1 says that it waits by itself.
        return shared.array.dlpack(None if stream == -1 else 1 if stream is None else stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.device.device_place()  # type: ignore[no-any-return]

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        array = self.array
        if self.__dlpack_device__()[0] != CUDA:
            raise AttributeError(f"__cuda_array_interface__: the tensor is on {self.device}")
        return {
            "shape": array.shape,
            "typestr": self.dtype.str,
            "data": (array.address(), False),
            "strides": None,
            "stream": array.device.stream_handle(),
            "version": 3,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return (tensor, (self.numpy(), self.array.dtype))

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return Tensor(self.array.copy())

    if TYPE_CHECKING:  # attached by dlcore.ops.operators
        T: Tensor

        def __add__(self, other: Operand) -> Tensor: ...
        def __radd__(self, other: Operand) -> Tensor: ...
        def __sub__(self, other: Operand) -> Tensor: ...
        def __rsub__(self, other: Operand) -> Tensor: ...
        def __mul__(self, other: Operand) -> Tensor: ...
        def __rmul__(self, other: Operand) -> Tensor: ...
        def __truediv__(self, other: Operand) -> Tensor: ...
        def __rtruediv__(self, other: Operand) -> Tensor: ...
        def __pow__(self, other: Operand) -> Tensor: ...
        def __rpow__(self, other: Operand) -> Tensor: ...
        def __matmul__(self, other: Operand) -> Tensor: ...
        def __rmatmul__(self, other: Operand) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Operand) -> Tensor: ...
        def __le__(self, other: Operand) -> Tensor: ...
        def __gt__(self, other: Operand) -> Tensor: ...
        def __ge__(self, other: Operand) -> Tensor: ...
        def __hash__(self) -> int: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def to(self, device: str) -> Tensor: ...


Operand: TypeAlias = Tensor | Number | np.ndarray[Any, Any] | Sequence[Any]


def _as_numpy(data: Any, dtype: Any, name: str) -> np.ndarray[Any, Any]:
    """`data` as a contiguous array of a dtype that dlcore has; see `tensor` for the rule."""
    from_numpy = isinstance(data, (np.ndarray, np.generic))
    if from_numpy and np.any(getattr(data, "mask", False)):  # numpy.ma, without importing it
        raise TypeError(f"{name}: the array has masked elements; fill them first")
    try:
        values = np.asarray(data)
    except ValueError as error:  # ragged nesting
        raise ValueError(f"{name}: {error}") from None
    kind = values.dtype.kind
    if kind not in "fiub":
        raise TypeError(f"{name}: dtype is {values.dtype}, expected real numbers")
    if dtype is None:
        keeps = from_numpy and values.dtype.newbyteorder("=") == float64
        target = float64 if keeps else float32
        if values.dtype.itemsize > 8:
            raise TypeError(f"{name}: dtype is {values.dtype}, expected at most 64 bits")
    else:
        asked = np.dtype(dtype)
        if asked.name not in DTYPES:
            raise TypeError(f"{name}: dtype {asked} is asked for, expected float32, float64 or int32")
        target = DTYPES[asked.name]  # in native byte order
    if target == int32 and values.size and values.dtype != int32:
        lowest, highest = values.min(), values.max()
        if not (lowest >= -(2**31) and highest < 2**31) or (kind == "f" and (values != np.floor(values)).any()):
            raise ValueError(f"{name}: values from {lowest} to {highest} are not all 32-bit integers")
    return np.asarray(values, dtype=target, order="C")


def tensor(data: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    """A new tensor with a copy of `data`.

    Parameters
    ----------
    data : array-like of real numbers, any memory layout and byte order
    dtype : float32, float64 or int32, optional
        By default NumPy's float64 arrays keep their type; all else (float32, float16, integers, booleans, Python
        numbers and lists) becomes float32.
    device : "cpu" or "cuda"; by default that of `data` where it is a tensor, else the current one

    Raises
    ------
    RuntimeError
        Where there is no such device.
    TypeError
        For complex numbers, objects, strings, None, or types wider than 64 bits.
    ValueError
        For ragged nesting, or values that an asked-for int32 cannot hold.
    """
    if isinstance(data, Tensor):
        if dtype is None:
            return Tensor(data.array.copy() if device is None else moved(data.array, device, copy=True))
        device = device or data.device
    return Tensor(placement.placed(device).from_numpy(_as_numpy(data, dtype, "tensor")))


def host_view(array: Any) -> np.ndarray[Any, Any]:
    """A NumPy array to look at: over the memory of an array on the CPU, a copy of another device's."""
    return np.from_dlpack(Tensor(array)) if array.device is _device.cpu else array.numpy()


def lent(data: Any, dtype: str, device: str) -> Tensor | None:
    """A tensor over the memory of a NumPy array as it is, to be read while the caller's call lasts; None where only a
    copy would do: for another dtype, layout or device."""
    if type(data) is not np.ndarray or data.dtype != DTYPES[dtype] or device != "cpu" or data.size == 0:
        return None
    if not (data.flags.c_contiguous and data.flags.aligned):
        return None
    return Tensor(_device.cpu.from_pointer(data.ctypes.data, data.shape, dtype, data))


def moved(array: Any, device: str, copy: bool = False) -> Any:
    """An array's elements on a device: the array itself where it is there already, unless a copy is asked for."""
    target = placement.find(device)
    if target is array.device:
        return array.copy() if copy else array
    return target.from_numpy(host_view(array))


def as_tensor(data: Any, like: Tensor | None = None, name: str = "tensor") -> Tensor:
    """`data` itself when it is a Tensor; else a copy on the device of `like` (by default the current one), in its dtype
    unless it is an array of floats."""
    if isinstance(data, Tensor):
        return data
    keeps_type = isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind == "f"
    dtype = like.dtype if like is not None and not keeps_type and like.dtype != int32 else None
    device = placement.placed(None) if like is None else like.array.device
    return Tensor(device.from_numpy(_as_numpy(data, dtype, name)))


def tensor_at(data: Any, like: Tensor, name: str = "tensor") -> Tensor:
    """`as_tensor`, and where `data` is a tensor on another device than `like`, a copy of it there."""
    found = as_tensor(data, like, name)
    return found if found.array.device is like.array.device else Tensor(moved(found.array, like.device))
