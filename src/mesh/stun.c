#include "mesh/stun.h"

#include <string.h>

enum {
        HEADER_BYTES = 20,
        AT_LENGTH = 2,
        AT_COOKIE = 4,
        AT_ID = 8,

        TYPE_REQUEST = 0x0001,
        TYPE_SUCCESS = 0x0101,
        TYPE_ERROR = 0x0111,

        /* RFC 8489 14 and 18.3 */
        USERNAME = 0x0006,
        MESSAGE_INTEGRITY = 0x0008,
        ERROR_CODE = 0x0009,
        UNKNOWN_ATTRIBUTES = 0x000a,
        REALM = 0x0014,
        NONCE = 0x0015,
        MESSAGE_INTEGRITY_SHA256 = 0x001c,
        PASSWORD_ALGORITHM = 0x001d,
        USERHASH = 0x001e,
        XOR_MAPPED_ADDRESS = 0x0020,
        OPTIONAL = 0x8000, /* and above: may be passed over */
        SOFTWARE = 0x8022,
        FINGERPRINT = 0x8028,

        FINGERPRINT_BYTES = 8,
        UNKNOWN_MAX = 8,
        ERROR_UNKNOWN_ATTRIBUTE = 420,
};

static const uint8_t cookie[4] = { 0x21, 0x12, 0xa4, 0x42 };
#define FINGERPRINT_XOR UINT32_C(0x5354554e)

static uint16_t get16(const uint8_t *p)
{
        return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned value)
{
        p[0] = (uint8_t)(value >> 8);
        p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
        put16(p, value >> 16);
        put16(p + 2, value & 0xffff);
}

static uint32_t get32(const uint8_t *p)
{
        return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* ITU-T V.42, bit by bit: a message is short. */
static uint32_t crc32(const uint8_t *bytes, size_t len)
{
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < len; i++) {
                crc ^= bytes[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (UINT32_C(0xedb88320) & (0 - (crc & 1)));
        }
        return ~crc;
}

bool mesh_stun_is(struct str datagram)
{
        const uint8_t *p = (const uint8_t *)datagram.ptr;

        return datagram.len >= HEADER_BYTES && (p[0] & 0xc0) == 0 &&
               memcmp(p + AT_COOKIE, cookie, sizeof(cookie)) == 0;
}

/* ---- reading ---- */

struct attributes {
        const uint8_t *at, *end;
        uint16_t type, len;
        const uint8_t *value;
};

/* ERR_MALFORMED: not a whole message, or longer than we look at. */
static enum err message_open(struct str in, unsigned *type, struct attributes *a)
{
        const uint8_t *p = (const uint8_t *)in.ptr;

        if (!mesh_stun_is(in) || in.len > MESH_STUN_DATAGRAM_MAX || in.len % 4 != 0 ||
            get16(p + AT_LENGTH) != in.len - HEADER_BYTES)
                return ERR_MALFORMED;
        *type = get16(p);
        *a = (struct attributes){ .at = p + HEADER_BYTES, .end = p + in.len };
        return ERR_OK;
}

/* ERR_NOT_FOUND after the last one. */
static enum err attribute_next(struct attributes *a)
{
        size_t left = (size_t)(a->end - a->at);

        if (left == 0)
                return ERR_NOT_FOUND;
        if (left < 4)
                return ERR_MALFORMED;
        a->type = get16(a->at);
        a->len = get16(a->at + 2);
        a->value = a->at + 4;
        if (a->len > left - 4)
                return ERR_MALFORMED;
        /* The message's length is a multiple of 4, so the padding is there when the value is. */
        a->at += 4 + (((size_t)a->len + 3) & ~(size_t)3);
        return ERR_OK;
}

/* Of the attribute just read, which must be the last (RFC 8489 14.7). */
static bool fingerprint_holds(const struct attributes *a, struct str message)
{
        size_t before = message.len - FINGERPRINT_BYTES;

        return a->len == 4 && a->at == a->end &&
               get32(a->value) == (crc32((const uint8_t *)message.ptr, before) ^ FINGERPRINT_XOR);
}

static bool is_known(uint16_t type)
{
        switch (type) {
        case USERNAME:
        case MESSAGE_INTEGRITY:
        case REALM:
        case NONCE:
        case MESSAGE_INTEGRITY_SHA256:
        case PASSWORD_ALGORITHM:
        case USERHASH: return true; /* we ask nobody who they are */
        default: return type >= OPTIONAL;
        }
}

/* ---- writing ---- */

static size_t header_put(uint8_t *out, unsigned type, const uint8_t *id)
{
        put16(out, type);
        memcpy(out + AT_COOKIE, cookie, sizeof(cookie));
        memcpy(out + AT_ID, id, MESH_STUN_ID_BYTES);
        return HEADER_BYTES;
}

static uint8_t *attribute_put(uint8_t *out, size_t *at, unsigned type, size_t len)
{
        uint8_t *p = out + *at;

        put16(p, type);
        put16(p + 2, (unsigned)len);
        *at += 4 + ((len + 3) & ~(size_t)3);
        return p + 4;
}

static void finish(uint8_t *out, size_t *at, bool with_fingerprint)
{
        size_t before = *at;

        put16(out + AT_LENGTH,
              (unsigned)(before + (with_fingerprint ? FINGERPRINT_BYTES : 0) - HEADER_BYTES));
        if (with_fingerprint)
                put32(attribute_put(out, at, FINGERPRINT, 4), crc32(out, before) ^ FINGERPRINT_XOR);
}

void mesh_stun_request(const uint8_t id[MESH_STUN_ID_BYTES], uint8_t out[MESH_STUN_REQUEST_BYTES])
{
        static const char software[] = "sekisho, room for the answer";
        size_t at = header_put(out, TYPE_REQUEST, id);

        _Static_assert(HEADER_BYTES + 4 + sizeof(software) - 1 + FINGERPRINT_BYTES <=
                                       MESH_STUN_REQUEST_BYTES &&
                               (sizeof(software) - 1) % 4 == 0,
                       "the request has another size");
        memset(out + HEADER_BYTES, 0, MESH_STUN_REQUEST_BYTES - HEADER_BYTES);
        uint8_t *value = attribute_put(out, &at, SOFTWARE,
                                       MESH_STUN_REQUEST_BYTES - HEADER_BYTES - 4 - FINGERPRINT_BYTES);
        memset(value, ' ', MESH_STUN_REQUEST_BYTES - HEADER_BYTES - 4 - FINGERPRINT_BYTES);
        memcpy(value, software, sizeof(software) - 1);
        finish(out, &at, true);
}

static size_t success_put(uint8_t *out, const uint8_t *id, struct ip from, uint16_t port)
{
        size_t at = header_put(out, TYPE_SUCCESS, id), len = from.family == 4 ? 4 : 16;
        uint8_t *value = attribute_put(out, &at, XOR_MAPPED_ADDRESS, 4 + len);

        value[0] = 0;
        value[1] = from.family == 4 ? 1 : 2;
        put16(value + 2, port ^ get16(cookie));
        /* With the cookie and, for IPv6, the id behind it (RFC 8489 14.2): they lie so in the header. */
        for (size_t i = 0; i < len; i++)
                value[4 + i] = from.bytes[i] ^ out[AT_COOKIE + i];
        return at;
}

static size_t refusal_put(uint8_t *out, const uint8_t *id, const uint16_t *unknown, size_t unknown_count)
{
        size_t at = header_put(out, TYPE_ERROR, id);
        uint8_t *value = attribute_put(out, &at, ERROR_CODE, 4);

        put16(value, 0);
        value[2] = ERROR_UNKNOWN_ATTRIBUTE / 100;
        value[3] = ERROR_UNKNOWN_ATTRIBUTE % 100;
        value = attribute_put(out, &at, UNKNOWN_ATTRIBUTES, 2 * unknown_count);
        put32(value + 2 * (unknown_count - 1),
              0); /* the padding, before the last one may be written over it */
        for (size_t i = 0; i < unknown_count; i++)
                put16(value + 2 * i, unknown[i]);
        return at;
}

enum err mesh_stun_answer(struct str request, struct ip from, uint16_t port,
                          uint8_t out[MESH_STUN_ANSWER_MAX], size_t *len)
{
        const uint8_t *id = (const uint8_t *)request.ptr + AT_ID;
        uint16_t unknown[UNKNOWN_MAX];
        size_t unknown_count = 0, at;
        bool has_fingerprint = false;
        struct attributes a;
        unsigned type;
        enum err e;

        if ((e = message_open(request, &type, &a)) != ERR_OK)
                return e;
        if (type != TYPE_REQUEST || port == 0 || from.family == 0)
                return ERR_MALFORMED;
        while ((e = attribute_next(&a)) == ERR_OK) {
                if (a.type == FINGERPRINT && !(has_fingerprint = fingerprint_holds(&a, request)))
                        return ERR_MALFORMED;
                if (!is_known(a.type) && unknown_count < UNKNOWN_MAX)
                        unknown[unknown_count++] = a.type;
        }
        if (e != ERR_NOT_FOUND)
                return e;
        at = unknown_count ? refusal_put(out, id, unknown, unknown_count) : success_put(out, id, from, port);
        /* A fingerprint for who sent one, where there is room for it. */
        finish(out, &at, has_fingerprint && at + FINGERPRINT_BYTES <= request.len);
        if (at > request.len)
                return ERR_TOO_LARGE;
        *len = at;
        return ERR_OK;
}

static enum err read_address(const struct attributes *a, const uint8_t *header, struct ip *ip, uint16_t *port)
{
        size_t len = a->len == 8 ? 4 : 16;
        uint8_t bytes[16];

        if ((a->len != 8 && a->len != 20) || a->value[1] != (len == 4 ? 1 : 2))
                return ERR_MALFORMED;
        for (size_t i = 0; i < len; i++)
                bytes[i] = a->value[4 + i] ^ header[AT_COOKIE + i];
        *ip = ip_from_bytes(len == 4 ? 4 : 6, bytes);
        *port = get16(a->value + 2) ^ get16(cookie);
        return ERR_OK;
}

enum err mesh_stun_read(struct str answer, const uint8_t id[MESH_STUN_ID_BYTES], struct ip *ip,
                        uint16_t *port)
{
        const uint8_t *header = (const uint8_t *)answer.ptr;
        bool is_found = false;
        struct attributes a;
        struct ip seen_ip = { 0 };
        uint16_t seen_port = 0;
        unsigned type;
        enum err e;

        if ((e = message_open(answer, &type, &a)) != ERR_OK)
                return e;
        if ((type != TYPE_SUCCESS && type != TYPE_ERROR) ||
            memcmp(header + AT_ID, id, MESH_STUN_ID_BYTES) != 0)
                return ERR_MALFORMED;
        while ((e = attribute_next(&a)) == ERR_OK) {
                if (a.type == FINGERPRINT && !fingerprint_holds(&a, answer))
                        return ERR_MALFORMED;
                if (a.type != XOR_MAPPED_ADDRESS || is_found)
                        continue;
                if ((e = read_address(&a, header, &seen_ip, &seen_port)) != ERR_OK)
                        return e;
                is_found = true;
        }
        if (e != ERR_NOT_FOUND)
                return e;
        if (type == TYPE_ERROR)
                return ERR_DENIED;
        if (!is_found || seen_port == 0)
                return ERR_MALFORMED;
        *ip = seen_ip;
        *port = seen_port;
        return ERR_OK;
}
