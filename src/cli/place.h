/*
 * cli/place.h - where the configuration file is, and where a new one goes.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * The name, with a NUL behind it that len does not count, into `out`: `given` (--config) if any, else $SEKISHO_CONFIG,
 * else the first that exists of ./sekisho.json, $XDG_CONFIG_HOME/sekisho/sekisho.json (~/.config without it) and
 * /etc/sekisho/sekisho.json. ERR_NOT_FOUND: none of these exists; *out is then where a new one belongs: in /etc/sekisho
 * if that folder is ours to write, else below the home folder. What was named exists or not: that is not looked at.
 */
MUST_USE enum err place_config_find(struct str given, struct buf *out);

/*
 * Where `make run` keeps its state, when there is any: $XDG_STATE_HOME/sekisho/run, else ~/.local/state/sekisho/run. ERR_NOT_FOUND: it was never
 * run by this user; ERR_TOO_LARGE.
 */
MUST_USE enum err place_run_state(char *out, size_t size);
