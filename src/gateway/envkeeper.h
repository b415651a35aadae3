/*
 * gateway/envkeeper.h - secrets from the environment, taken out of it once they are read.
 *
 * What stands in the environment stands in /proc/PID/environ too, for every process of the same user to read. The first
 * reading of a variable keeps its value here and overwrites it where it stood; a reload is given the kept value.
 */
#pragma once

#include "conf/source.h"

enum { ENVKEEPER_MAX = 256 };

struct envkeeper {
        struct conf_source source; /* give this to conf_load, or to the next layer */
        /* private */
        struct conf_source *inner;
        size_t count;
        struct {
                struct str name;
                struct buf value;
        } kept[ENVKEEPER_MAX];
};

/* Empty; lives as long as the process reads configurations. */
void envkeeper_init(struct envkeeper *k);

/* For one reading: keeps `inner` until the next call. */
void envkeeper_over(struct envkeeper *k, struct conf_source *inner);

void envkeeper_restore(
        const struct envkeeper *k); /* back into the environment, for a program that is about to be run */

void envkeeper_fini(struct envkeeper *k); /* wipes the values */
