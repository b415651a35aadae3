/*
 * http/h2_window.h - how much of a stream may come before we used it: grown, on links, to what their path holds.
 *
 * A window of 64 KiB is what a path of 100 ms carries in a tenth of a second, so one stream would bring 5 Mbit/s over any link.
 * While a stream brings data the far end is asked something (PING), and what comes until the answer is counted: so much
 * was on the way. A stream that brought half of its window in that time waited for us, and its window doubles, if what came
 * before was used, up to H2_WINDOW_MAX and while all that was grown in this process is below H2_WINDOWS_GROWN_MAX.
 * One question at a time for each connection; no clock.
 *
 * Thread: what is grown is counted for each thread. Source: the measure is that of gRPC's "BDP estimation", RFC 9113 6.9.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        H2_WINDOW_MAX = 4 * 1024 * 1024,
        H2_WINDOWS_GROWN_MAX = 64 * 1024 * 1024 /* beyond what streams begin with */
};

/* Of a connection. Zero: nobody is asked about. */
struct h2_windows {
        struct h2_window *asked;
        uint32_t came; /* of it since the question */
};

/* Of a stream. */
struct h2_window {
        uint32_t size, first;
        uint32_t held; /* came and is not used */
        uint32_t since_question;
};

/* What our PING says, to be told from others. */
extern const uint8_t h2_window_question[8];

void h2_window_init(struct h2_window *w, uint32_t size);
/* `bytes` of the stream came. True: ask now. */
bool h2_window_came(struct h2_windows *all, struct h2_window *w, size_t bytes);
void h2_window_used(struct h2_window *w, size_t bytes);
/* The answer came. The stream whose window is larger now, or NULL. */
struct h2_window *h2_window_answered(struct h2_windows *all);
/* The stream is over; what it had beyond its beginning is free for others. */
void h2_window_end(struct h2_windows *all, struct h2_window *w);
