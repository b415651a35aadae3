/*
 * wire/ports.h - an address with a port or a range of them, as services are written: "0.0.0.0:7000-7010", "[::]:53", "tcp://game:7000-7010".
 *
 * A service of a range is one of as many ports: the n-th port of what a gateway listens on goes to the n-th of the target, whose id has "-n" behind
 * it, or to the one port it has. Pure.
 */
#pragma once

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum { WIRE_PORTS_MAX = 128 }; /* of one range */

struct wire_ports {
        struct str before; /* "0.0.0.0", "[::]", "tcp://game" */
        uint16_t first, count;
};

/* ERR_MALFORMED: no port, or none from 1 to 65535, or a range that ends before it began. ERR_TOO_LARGE: over WIRE_PORTS_MAX. */
MUST_USE enum err wire_ports_parse(struct str text, struct wire_ports *out);

static inline bool wire_ports_overlap(const struct wire_ports *a, const struct wire_ports *b)
{
        return a->first < b->first + b->count && b->first < a->first + a->count;
}
