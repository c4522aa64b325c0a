# LwM2M client: `lwm2m()` is QuecPython's object, `Client` the whole client; each is loaded when asked for
# SPDX-License-Identifier: MIT
from .port import sys

# What a file is best known for.
_PARTS = {
    "Client": "client",
    "CoapError": "coap.numbers",
    "LATER": "model.tree",
    "Lwm2m": "quectel",
    "lwm2m": "quectel",
}


class Face:
    """What `import lwm2m` gives from the second import on: a module that can be called (the first import
    of a package can't return anything but the package, so a boot file does it)."""

    __name__ = __name__
    __path__ = __path__

    def __call__(self):
        return self.lwm2m()

    def __getattr__(self, name):
        if name[:1] == "_":
            raise AttributeError(name)
        # a part of the package, such as aio or presets, or what one is best known for
        part = _PARTS.get(name, name)
        try:
            part = __import__(part, globals(), None, ("x",), 1)
        except ImportError as error:
            if name in _PARTS:
                if self.absent(error, part):
                    raise ImportError("no lwm2m/%s.py in this image" % part)
                raise
            if hasattr(self.Lwm2m, name):
                return getattr(self.lwm2m(), name)
            if self.absent(error, part):
                raise AttributeError(
                    "lwm2m has no %s: neither a name nor a file of this image" % name
                )
            raise
        return getattr(part, name, part)

    def absent(self, error, part):
        """Is it the file itself that an ImportError is about, or one that it imports?"""
        return ".%s'" % part in str(error)


face = sys.modules[__name__] = Face()
__getattr__ = face.__getattr__
