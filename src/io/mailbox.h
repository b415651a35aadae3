/*
 * io/mailbox.h - messages between the supervisor and a worker process, with descriptors, over a SOCK_SEQPACKET pair.
 *
 * One message is one datagram: a kind, a small body, and descriptors (a large body goes as a sealed memfd). Bounded:
 * a full mailbox gives ERR_AGAIN to the sender, who decides.
 */
#pragma once

#include "base/str.h"
#include "io/loop.h"

enum { MAILBOX_BODY_BYTES_MAX = 16 * 1024, MAILBOX_FDS_MAX = 253 /* SCM_MAX_FD, unix(7) */ };

struct mailbox;
/* Body and fds are valid until return; descriptors not taken (set to -1 by the callee) are closed afterwards. The mailbox
 * may be closed in it, but freed only after it. */
typedef void mailbox_message_fn(struct mailbox *m, uint32_t kind, struct str body, int *fds,
                                size_t fds_count);
/* The other process is gone, or broke the form of messages; the mailbox is closed. The owner may free it. */
typedef void mailbox_closed_fn(struct mailbox *m);

/* Embedded in its owner. */
struct mailbox {
        mailbox_message_fn *on_message;
        mailbox_closed_fn *on_closed;
        /* private */
        struct watch watch;
        struct loop *loop;
};

MUST_USE
enum err mailbox_pair(int fds[2]); /* close-on-exec, non-blocking */
MUST_USE
enum err mailbox_open(struct mailbox *m, struct loop *l, int fd, mailbox_message_fn *on_message,
                      mailbox_closed_fn *on_closed); /* takes fd */
void mailbox_close(struct mailbox *m);               /* no call will come; may be closed already */
/* In a forked child: closes the descriptor without touching the parent's loop. */
void mailbox_forget(struct mailbox *m);

/* The descriptors stay the caller's. ERR_AGAIN: full. ERR_CLOSED. ERR_TOO_LARGE: over the bounds above. */
MUST_USE
enum err mailbox_send(struct mailbox *m, uint32_t kind, struct str body, const int *fds, size_t fds_count);

/* Puts a large body into a sealed memfd, and gets it back out (read-only mapping, unmap with mailbox_unmap). The descriptor
 * stays the caller's. ERR_MALFORMED: not sealed, so it could change under the reader. */
MUST_USE
enum err mailbox_memfd(struct str content, int *fd_out);
MUST_USE
enum err mailbox_map(int fd, size_t bytes_max, struct str *out);
void mailbox_unmap(struct str mapped);
