"""Where the control endpoint of a service stands: inside the service, on a socket of its own, or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultware.control.auth import Keyring
from faultware.control.listener import Listener
from faultware.control.service import Control

if TYPE_CHECKING:
    from faultware.runtime.build import Service


def mount(service: Service) -> Control | None:
    """The control endpoint that the middleware has to answer for; None: there is none, or it has a socket of its own.

    A socket is opened later, by the refresher's thread of a process that serves.
    """
    keyring = Keyring.of(service.settings)
    if keyring is None:
        return None
    control = Control(service, keyring)
    if service.settings.control_listen is None:
        return control
    service.injector.chores.append(Listener(control, service.settings.control_listen).tend)
    return None
