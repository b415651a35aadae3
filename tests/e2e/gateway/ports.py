"""A port belongs to one program: SO_REUSEPORT is for the workers of one gateway."""

import re

from lib.stage import same


def story_a_second_gateway_does_not_take_half_the_connections(t):
    first = t.gateway()
    second = t.gateway(gateway={"port": first.port}, wait=False)
    same(second.wait(), 2)
    t.programs.remove(second)
    assert re.search(rf"127\.0\.0\.1:{first.port}", second.text()), second.text()
    same(first.get("/health", token=False).status, 200)
    same(first.reload()["event"], "config_applied")  # its own sockets are not in its way
