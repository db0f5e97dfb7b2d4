"""What costs on purpose, or by chance, costs less in processes of tests that start services.

* A passphrase is stretched with 64 MiB (`keystore.wrap`) at every start and in every command that
  opens keys. The header says with what a keystore was made, so who opens one needs not know.
* A new authority makes three RSA keys of 3072 bits, a second's work when chance is unkind. They are
  taken in turn from 48 that were made once: no service meets one of them twice.

* FastAPI reads the signatures of three hundred routes when an application is put together, and a
  test asks for five of them. Here it reads a route when it is first asked for.

What is started as an administrator does (`Service.fresh`) has the defaults, keys of its own and
every route read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi.routing import APIRoute
from starlette.routing import compile_path, get_name

from core.direct import DirectRoute
from keystore import backup, softkey, wrap
from keystore.algorithms import KeyAlgorithm
from keystore.backends import software

TURN = "TESTS_TURN_OF_KEYS"
"""Environment: a file that is as long as the number of keys taken by the processes of a worker."""

_PRIMES = Path(__file__).with_name("rsa-primes.txt")
_generate = softkey.generate
_read = APIRoute.__init__
_compile = cache(compile_path)
_reading = threading.RLock()
_of_this_process = count()


def keystores() -> None:
    """From now on this process makes keystores and shares that are cheap to make and to open."""
    quick = partial(wrap.Argon2idParameters, memory_kib=8_192, iterations=1, lanes=1)
    for module in (backup, software):
        module.Argon2idParameters = quick
    softkey.generate = _in_turn


def _in_turn(algorithm: KeyAlgorithm) -> softkey.SoftKey:
    if algorithm is not KeyAlgorithm.RSA_3072:
        return _generate(algorithm)
    lines = _PRIMES.read_text(encoding="ascii").splitlines()
    p, q = (int(word, 16) for word in lines[_turn() % len(lines)].split())
    return softkey._soft(_key(p, q))


def _turn() -> int:
    path = os.environ.get(TURN)
    if path is None:
        return next(_of_this_process)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, b".")  # one after the other, whoever writes
        return os.lseek(file, 0, os.SEEK_CUR) - 1
    finally:
        os.close(file)


def _key(p: int, q: int) -> rsa.RSAPrivateKey:
    e = 65537
    d = rsa.rsa_recover_private_exponent(e, p, q)
    public = rsa.RSAPublicNumbers(e, p * q)
    parts = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public)
    return rsa.RSAPrivateNumbers(p, q, d, *parts).private_key(unsafe_skip_rsa_key_validation=True)


def routes() -> None:
    """From now on this process reads a route when somebody asks for more than where it is."""
    APIRoute.__init__ = _note
    APIRoute.__getattr__ = _read_now


def _note(route: APIRoute, path: str, endpoint: Callable[..., Any], **how: Any) -> None:
    if isinstance(route, DirectRoute):  # it has its direct and plain handlers once it is read
        _read(route, path, endpoint, **how)
        return
    route.path, route.endpoint = path, endpoint
    route.name = how.get("name") or get_name(endpoint)
    route.methods = {one.upper() for one in how.get("methods") or ["GET"]}
    route.path_regex, route.path_format, route.param_convertors = _compile(path)
    route.__dict__["_how"] = how


def _read_now(route: APIRoute, name: str) -> Any:
    with _reading:  # who comes meanwhile waits, and finds what was read
        how = route.__dict__.pop("_how", None)
        if how is not None:
            _read(route, route.path, route.endpoint, **how)
        if name not in route.__dict__:
            raise AttributeError(name)
        return route.__dict__[name]
