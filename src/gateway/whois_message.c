#include "gateway/whois_message.h"

#include <string.h>

/* An answer: number 4, result 2, count of words 2, then the words: login, node, tags; each with its length (2). */

static bool is_address(struct ip ip)
{
        return ip.family == 4 || ip.family == 6;
}

enum err whois_question_read(struct str packet, struct whois_question *out)
{
        if (packet.len != sizeof(*out))
                return ERR_MALFORMED;
        memcpy(out, packet.ptr, sizeof(*out));
        return is_address(out->peer) && is_address(out->local) ? ERR_OK : ERR_MALFORMED;
}

static void put(struct buf *b, const void *p, size_t len)
{
        buf_add(b, (struct str){ p, len });
}

static bool word_put(struct buf *b, struct str word)
{
        uint16_t len = (uint16_t)word.len;

        if (word.len > WHOIS_WORD_BYTES_MAX)
                return false;
        put(b, &len, sizeof(len));
        buf_add(b, word);
        return !b->full;
}

bool whois_answer_write(struct buf *packet, const struct whois_answer *a)
{
        uint16_t head[2] = { (uint16_t)a->result, (uint16_t)(a->tags_count + 2) };
        bool fits = a->tags_count <= WHOIS_TAGS_MAX;

        buf_clear(packet);
        put(packet, &a->number, sizeof(a->number));
        put(packet, head, sizeof(head));
        fits = fits && word_put(packet, a->login) && word_put(packet, a->node);
        for (size_t i = 0; i < a->tags_count && fits; i++)
                fits = word_put(packet, a->tags[i]);
        return fits && !packet->full;
}

static bool take(struct str *in, void *to, size_t len)
{
        if (in->len < len)
                return false;
        memcpy(to, in->ptr, len);
        *in = str_from(*in, len);
        return true;
}

static bool word_take(struct str *in, struct str *out)
{
        uint16_t len;

        if (!take(in, &len, sizeof(len)) || len > WHOIS_WORD_BYTES_MAX || len > in->len)
                return false;
        *out = str_sub(*in, 0, len);
        *in = str_from(*in, len);
        return true;
}

enum err whois_answer_read(struct str packet, struct whois_answer *out)
{
        uint16_t head[2];

        *out = (struct whois_answer){ 0 };
        if (!take(&packet, &out->number, sizeof(out->number)) || !take(&packet, head, sizeof(head)) ||
            head[0] > ERR_CONFIG || head[1] < 2 || head[1] > WHOIS_TAGS_MAX + 2)
                return ERR_MALFORMED;
        out->result = (enum err)head[0];
        out->tags_count = head[1] - 2u;
        if (!word_take(&packet, &out->login) || !word_take(&packet, &out->node))
                return ERR_MALFORMED;
        for (size_t i = 0; i < out->tags_count; i++)
                if (!word_take(&packet, &out->tags[i]))
                        return ERR_MALFORMED;
        if (packet.len || (out->result == ERR_OK && !out->login.len == !out->tags_count))
                return ERR_MALFORMED;
        return ERR_OK;
}
