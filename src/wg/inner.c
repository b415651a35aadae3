#include "wg/inner.h"

enum { ECN_MASK = 3, ECN_NONE = 0, ECN_CE = 3 };

static size_t get_be16(const uint8_t *p)
{
        return (size_t)p[0] << 8 | p[1];
}

enum err wg_inner_parse(const uint8_t *p, size_t len, struct wg_inner *out)
{
        if (len >= 20 && p[0] >> 4 == 4) {
                size_t header = 4 * (size_t)(p[0] & 15), total = get_be16(p + 2);
                if (header < 20 || total < header || total > len)
                        return ERR_MALFORMED;
                *out = (struct wg_inner){ 4, total, p + 12, p + 16, p[1] };
                return ERR_OK;
        }
        if (len >= 40 && p[0] >> 4 == 6) {
                size_t total = 40 + get_be16(p + 4);
                if (total > len)
                        return ERR_MALFORMED;
                *out = (struct wg_inner){ 6, total, p + 8, p + 24, (uint8_t)(p[0] << 4 | p[1] >> 4) };
                return ERR_OK;
        }
        return ERR_MALFORMED;
}

static struct wg_allowedips_owner *find(const struct wg_allowedips *a, uint8_t version, const uint8_t *bytes)
{
        return version == 4 ? wg_allowedips_find4(a, bytes) : wg_allowedips_find6(a, bytes);
}

struct wg_allowedips_owner *wg_inner_find_source(const struct wg_inner *i, const struct wg_allowedips *a)
{
        return find(a, i->version, i->source);
}

struct wg_allowedips_owner *wg_inner_find_destination(const struct wg_inner *i, const struct wg_allowedips *a)
{
        return find(a, i->version, i->destination);
}

static void mark_v4(uint8_t *p)
{
        uint8_t ecn = p[1] & ECN_MASK;

        if (ecn == ECN_NONE || ecn == ECN_CE)
                return;
        p[1] |= ECN_CE;
        /* The word grew by CE - ecn, so the checksum shrinks by as much (RFC 1624). */
        uint32_t sum = (uint32_t)get_be16(p + 10) + 0xffff - (uint32_t)(ECN_CE - ecn);
        sum = (sum & 0xffff) + (sum >> 16);
        p[10] = (uint8_t)(sum >> 8);
        p[11] = (uint8_t)sum;
}

void wg_inner_mark_congestion(uint8_t *packet, uint8_t outer_tos)
{
        if (LIKELY((outer_tos & ECN_MASK) != ECN_CE))
                return;
        if (packet[0] >> 4 == 4)
                mark_v4(packet);
        else if ((packet[1] >> 4 & ECN_MASK) != ECN_NONE)
                packet[1] |= ECN_CE << 4;
}
