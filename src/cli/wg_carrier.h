/*
 * cli/wg_carrier.h - the relay of an interface: link's carrier and mesh's interface, made known to each other.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"
#include "cli/command.h"
#include "mesh/interface.h"

struct wg_carrier;

/* Reads the authorities' file and the URL; says what is wrong. EXIT_OK with *out NULL: no relay was asked for. */
enum exit_code wg_carrier_new(struct loop *l, struct str url, struct str ca_file, struct wg_carrier **out);

/* What the interface is to be made with, and what it shall call when it was changed. */
struct mesh_carrier wg_carrier_door(struct wg_carrier *c);
enum err wg_carrier_start(struct wg_carrier *c, struct mesh_interface *i);
void wg_carrier_changed(struct wg_carrier *c); /* NULL is fine */

void wg_carrier_stop(struct wg_carrier *c); /* NULL is fine; then two turns of the loop */
void wg_carrier_free(struct wg_carrier *c); /* before the interface; NULL is fine */
