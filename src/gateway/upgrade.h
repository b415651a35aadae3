/*
 * gateway/upgrade.h - a new program takes over from the old one without a connection lost (SIGUSR2).
 *
 * The old supervisor starts the program that stands where its own did, with a description of its listening sockets in a
 * sealed memory file and one end of a mailbox. Both accept from the same sockets, so no queue is lost. Once the new one's
 * workers are ready it says so; the old one then drains, patiently: an idle connection is closed with the answer to its next
 * request. Should the new one end before that, the old one goes on as if nothing had been asked.
 *
 * Counters go on: the new one begins with the old one's (metrics_give), and gets what is counted there while it drains.
 *
 * Description: "SKUP1\n", the tickets' key, then entries {place 4 bytes, descriptor 4 bytes, text length 2, text}; place
 * UPGRADE_HANDED: a socket of the service manager, its text "NAME address"; UPGRADE_METRICS: a file of counters, no text;
 * UPGRADE_PAIR: the tailnet's certificate, the text its SHA-256; UPGRADE_TAILNET: no descriptor, "V4 V6": our addresses there. Machine's byte order: both are on one machine.
 */
#pragma once

#include "base/buf.h"
#include "io/listener.h"
#include "io/mailbox.h"
#include "io/tls.h"

enum { UPGRADE_TEXT_BYTES_MAX = LISTEN_ADDRESS_TEXT_MAX + 64, UPGRADE_ENTRIES_MAX = 64 * 64 };
enum { UPGRADE_HANDED = 0xffff, UPGRADE_METRICS = 0xfffe, UPGRADE_PAIR = 0xfffd, UPGRADE_TAILNET = 0xfffc };

struct upgrade_entry {
        uint32_t place;
        int fd;
        struct str text; /* the address as listen_address_format has it; in the description */
};

struct upgrade_reader {
        struct str rest;
        uint8_t ticket_key[TLS_TICKET_KEY_BYTES];
};

/* Writing: begin, add each, then it is whole. */
void upgrade_begin(struct buf *out, const uint8_t ticket_key[TLS_TICKET_KEY_BYTES]);
void upgrade_add(struct buf *out, uint32_t place, int fd, struct str text);

/* Reading. Keeps `text`. ERR_MALFORMED: nothing may be taken from it. */
MUST_USE enum err upgrade_open(struct upgrade_reader *r, struct str text);
/* The next entry; false at the end. After upgrade_open gave ERR_OK every entry is well-formed. */
bool upgrade_next(struct upgrade_reader *r, struct upgrade_entry *out);
