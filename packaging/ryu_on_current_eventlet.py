"""Lets PyPI's Ryu 4.34 import beside a current eventlet, without a change to any installed file.

Ryu's WSGI module imports `eventlet.wsgi.ALREADY_HANDLED`, which eventlet removed in 0.31; older eventlets do not
import on Python 3.10 and later. A `.pth` file imports this module at interpreter start. It imports nothing itself: it
waits in `sys.meta_path` until Ryu is asked for, supplies what is missing, and steps aside.
"""

import sys
import warnings


class _RyuFinder:
    """Prepares eventlet in the moment before a Ryu module that needs it is imported; finds no module itself."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "ryu.lib.hub":
            # By its text: its class (EventletDeprecationWarning, a plain Warning) is made while eventlet is imported.
            warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated", category=Warning)
        elif fullname == "ryu.app.wsgi":
            sys.meta_path.remove(self)
            import eventlet.wsgi

            if not hasattr(eventlet.wsgi, "ALREADY_HANDLED"):
                # Ryu returns it from a websocket handler; an empty body is what it always stood for.
                eventlet.wsgi.ALREADY_HANDLED = ()
        return None


sys.meta_path.insert(0, _RyuFinder())
