/*
 * http/decoder.h - content codings read back: gzip, deflate, br and zstd as a stream, for bytes that are looked at in
 * passing. What comes out is shown piece by piece and kept nowhere.
 *
 * Bounds against bombs: the bytes shown are counted against a limit, windows are at most 8 MiB, brotli's memory is bounded
 * as a whole. Thread: its user's.
 * Source: RFC 1952, 1950 and 1951 ("deflate", with and without its wrapper: both are sent), RFC 7932, RFC 8878.
 */
#pragma once

#include "http/encoding.h"

struct decoder;

/* Sees decoded bytes, borrowed until return. False: enough seen, decode no more. */
typedef bool decoder_show(void *context, struct str bytes);

/* For one body of at most `bytes_max` decoded bytes. NULL: memory ran out, or the coding is not one of the above. */
MUST_USE struct decoder *decoder_new(enum http_coding coding, uint64_t bytes_max);
void decoder_free(struct decoder *d); /* NULL is fine */

/*
 * Decodes and shows. ERR_MALFORMED: not that coding. ERR_TOO_LARGE: over a bound. ERR_CLOSED: `show` has seen enough. After
 * an error every further call gives the same one. Bytes behind the end of the last member are passed over.
 */
MUST_USE enum err decoder_feed(struct decoder *d, struct str in, decoder_show *show, void *context);

/* The coding a Content-Encoding names: HTTP_IDENTITY for none or "identity"; HTTP_CODINGS for a list, or another. */
enum http_coding decoder_coding_of(const struct http_head *head);
