"""What the rbm functions refuse, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase

SHAPES = {"v": (4, 3), "h": (4, 2), "weight": (3, 2), "visible_bias": (3,), "hidden_bias": (2,), "chains": (5, 2)}


ARGUMENTS: dict[str, tuple[str, ...]] = {
    "rbm_hidden": ("v", "weight", "hidden_bias"),
    "rbm_visible": ("h", "weight", "visible_bias"),
    "rbm_sample_hidden": ("v", "weight", "hidden_bias", "key", "step"),
    "rbm_sample_visible": ("h", "weight", "visible_bias", "key", "step"),
    "rbm_gibbs": ("v", "weight", "visible_bias", "hidden_bias", "k", "key", "step"),
    "rbm_cd": ("v", "weight", "visible_bias", "hidden_bias", "k", "key", "step", "chains"),
    "rbm_free_energy": ("v", "weight", "visible_bias", "hidden_bias"),
}


def raises(
    function: str, message: str, error: type[Exception] = ValueError, alias: Any = None, **changed: Any
) -> ErrorCase:
    """Good arguments but for those `changed`: arrays are given as (shape, dtype, values for the first elements)."""

    def call(device: Any, array: Any) -> Any:
        arguments: dict[str, Any] = {}
        for name in (*ARGUMENTS[function], *(changed.keys() & {"out"})):
            given = changed.get(name, (SHAPES[name],) if name in SHAPES else {"k": 1, "key": 3, "step": 4}.get(name))
            if isinstance(given, tuple):
                shape, dtype, values = (*given, *("float32", ())[len(given) - 1 :])
                a = np.zeros(shape, dtype)
                a.reshape(-1)[: len(values)] = values
                given = array(a, dtype)
            arguments[name] = given
        if alias:
            arguments[alias[0]] = arguments[alias[1]].reshape(alias[2])
        return getattr(device, function)(**arguments)

    message = f"{function}: {message}"
    return ErrorCase(name=message, functions=(function,), call=call, error=error, message=message)


SAMPLING = ("rbm_sample_hidden", "rbm_sample_visible", "rbm_gibbs", "rbm_cd")


NAN = float("nan")


ERRORS = [
    *(
        raises(f, "weight has dtype int32, expected float32 or float64", TypeError, weight=((3, 2), "int32"))
        for f in ARGUMENTS
    ),
    *(raises(f, r"weight has shape \(6,\), expected 2 dimensions", weight=((6,),)) for f in ARGUMENTS),
    *(
        raises(
            f, f"dtypes differ: {a[0]} is float64, weight is float32", TypeError, **{a[0]: (SHAPES[a[0]], "float64")}
        )
        for f, a in ARGUMENTS.items()
    ),
    *(raises(f, rf"{a[0]} has shape \(3,\), expected 2 dimensions", **{a[0]: ((3,),)}) for f, a in ARGUMENTS.items()),
    *(
        raises(f, r"numbers of visible units differ: v is \(4, 5\), weight is \(3, 2\)", v=((4, 5),))
        for f, a in ARGUMENTS.items()
        if "v" in a
    ),
    *(
        raises(f, r"numbers of hidden units differ: h is \(4, 5\), weight is \(3, 2\)", h=((4, 5),))
        for f in ("rbm_visible", "rbm_sample_visible")
    ),
    *(
        raises(f, rf"{bias} has shape \(7,\), expected \({SHAPES[bias][0]},\)", **{bias: ((7,),)})
        for f, a in ARGUMENTS.items()
        for bias in ("visible_bias", "hidden_bias")
        if bias in a
    ),
    *(
        raises(
            f, f"dtypes differ: weight is float32, {bias} is float64", TypeError, **{bias: (SHAPES[bias], "float64")}
        )
        for f, a in ARGUMENTS.items()
        for bias in ("visible_bias", "hidden_bias")
        if bias in a
    ),
    *(raises(f, r"key is -1, expected 0 to 2\*\*64 - 1", key=-1) for f in SAMPLING),
    *(raises(f, "step is a float, expected an integer", TypeError, step=0.5) for f in SAMPLING),
    *(raises(f, "k is 0, expected an integer >= 1", k=0) for f in ("rbm_gibbs", "rbm_cd")),
    *(raises(f, r"k is -1, expected 0 to 2\*\*31 - 1", k=-1) for f in ("rbm_gibbs", "rbm_cd")),
    *(raises(f, "k is a float, expected an integer", TypeError, k=1.5) for f in ("rbm_gibbs", "rbm_cd")),
    *(
        raises(
            f,
            rf"{a[0]} is 1.5 at \(0, 1\), expected numbers in \[0, 1\]",
            **{a[0]: (SHAPES[a[0]], "float32", (1, 1.5, 2))},
        )
        for f, a in ARGUMENTS.items()
        if f in SAMPLING
    ),
    *(
        raises(
            f,
            rf"{a[0]} is nan at \(0, 1\), expected numbers in \[0, 1\]",
            **{a[0]: (SHAPES[a[0]], "float32", (1, NAN, 2))},
        )
        for f, a in ARGUMENTS.items()
        if f in SAMPLING
    ),
    raises("rbm_cd", r"v has shape \(0, 3\), expected at least one case", v=((0, 3),)),
    raises("rbm_cd", r"chains has shape \(0, 2\), expected at least one chain", chains=((0, 2),)),
    raises("rbm_cd", r"numbers of hidden units differ: chains is \(5, 3\), weight is \(3, 2\)", chains=((5, 3),)),
    raises("rbm_cd", "dtypes differ: chains is float64, weight is float32", TypeError, chains=((5, 2), "float64")),
    raises("rbm_cd", r"chains is -1 at \(0, 0\), expected numbers in \[0, 1\]", chains=((5, 2), "float32", (-1,))),
    raises("rbm_cd", "chains shares memory with weight", alias=("chains", "weight", (3, 2))),
    raises("rbm_cd", r"out has shape \(10,\), expected \(11,\)", out=((10,),)),
    raises("rbm_cd", "out has dtype float64, expected float32", TypeError, out=((11,), "float64")),
    raises(
        "rbm_cd",
        "out shares memory with v",
        v=((1, 3),),
        weight=((3, 0),),
        hidden_bias=((0,),),
        chains=None,
        out=None,
        alias=("out", "v", (3,)),
    ),
]
