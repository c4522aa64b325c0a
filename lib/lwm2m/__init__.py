# LwM2M client: `lwm2m()` is QuecPython's object, `Client` the whole client; each is loaded when asked for
# SPDX-License-Identifier: MIT
import sys


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
        try:
            # a part of the package, such as aio or presets, or what such a part is best known for
            x = {"Client": "client", "CoapError": "tree", "LATER": "tree", "lwm2m": "quectel"}
            x = __import__(x.get(name, name), globals(), None, ("x",), 1)
            return getattr(x, name, x)
        except ImportError:
            return getattr(self.lwm2m(), name)


face = sys.modules[__name__] = Face()
__getattr__ = face.__getattr__
