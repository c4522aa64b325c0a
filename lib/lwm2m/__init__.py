# LwM2M client: `lwm2m()` is QuecPython's object, `Client` the whole client; each is loaded when asked for
# SPDX-License-Identifier: MIT
from .port import sys


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
        part = {
            "Client": "client",
            "CoapError": "coap.numbers",
            "LATER": "model.tree",
            "lwm2m": "quectel",
        }
        part = part.get(name, name)
        try:
            module = __import__(part, globals(), None, ("x",), 1)
        except ImportError as error:
            if part == name:
                from .quectel import Lwm2m

                if hasattr(Lwm2m, name):
                    return getattr(self.lwm2m(), name)
            if ".%s'" % part not in str(error):
                raise  # the part is there, and what it imports is not
            kind = AttributeError if part == name else ImportError
            raise kind("no %s: no file lwm2m/%s.py in this image" % (name, part.replace(".", "/")))
        return getattr(module, name, module)


face = sys.modules[__name__] = Face()
__getattr__ = face.__getattr__
