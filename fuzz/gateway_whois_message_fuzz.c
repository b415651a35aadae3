/*
 * fuzz/gateway_whois_message_fuzz.c - any packet as a question to the tailnet process and as its answer. What is read is written back as
 * the same bytes.
 */
#include <stdlib.h>

#include "gateway/whois_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = { (const char *)data, size };
        struct whois_question q;
        struct whois_answer a;
        struct buf out;

        if (whois_question_read(in, &q) == ERR_OK && (q.peer.family == 0 || q.local.family == 0))
                abort();
        if (whois_answer_read(in, &a) != ERR_OK)
                return 0;
        if (a.result == ERR_OK && !a.login.len == !a.tags_count)
                abort();
        buf_init(&out, WHOIS_ANSWER_BYTES_MAX);
        if (!whois_answer_write(&out, &a) || !str_eq(buf_str(&out), in))
                abort();
        buf_fini(&out);
        return 0;
}
