/*
 * gateway/linksocket.h - GET /.sekisho/link: an agent's link that comes as a WebSocket, through a visitor's door.
 *
 * What is inside of it begins with a ClientHello and is treated as a connection of its own that somebody made: it is believed nothing that
 * its certificate does not prove (proxy/greeting.h). Nothing but a link may be inside.
 * Source: docs/protocol/nodes.md 5, docs/decisions/0077.
 */
#pragma once

#include "proxy/route.h"

extern const struct handler linksocket_handler;
