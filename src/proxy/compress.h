/*
 * proxy/compress.h - answers in gzip, br or zstd: a filter whose conf is a struct compress_conf (compress_rules.h).
 *
 * Encoders come from the worker's pool (gateway.limits.compressionBytes); an answer that finds none goes out as it is.
 * What has no length is a stream: all that came is flushed when nothing more comes for now. Holds at most one piece of
 * output (16 KiB) beside what the encoder keeps.
 */
#pragma once

#include "proxy/compress_rules.h"
#include "proxy/filter.h"

extern const struct filter compress_filter;
