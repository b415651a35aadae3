/*
 * proxy/preface.h - connections that begin with a PROXY protocol header: read first, then opened as whose they are.
 */
#pragma once

#include "proxy/snapshot.h"

struct worker;

/* From a trusted peer, on a listener that takes the header. Takes fd; closes it without a word when there is no header. */
void preface_open(struct worker *w, int fd, const struct listen_conf *listen);

/* Those still waiting are closed: the worker ends. */
void preface_close_all(struct worker *w);
