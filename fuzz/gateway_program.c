#include "gateway_program.h"

enum { PROGRAM_BYTES_MAX = 2048 };

enum operation {
        CLIENT_PIECE,
        CLIENT_BYTES,
        CLIENT_END,
        UPSTREAM_PIECE,
        UPSTREAM_BYTES,
        UPSTREAM_END,
        READ,
        OTHER
};

static const struct str client_pieces[] = {
        STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        STR("GET /private HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-0123456789abcdefghijklmn\r\n\r\n"),
        STR("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        STR("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), STR("hello"),
        STR("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), STR("5\r\nhello\r\n"),
        STR("0\r\n\r\n"), STR("0\r\nX-Sum: 1\r\n\r\n"),
        STR("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"),
        STR("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
        STR("X-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 5.6.7.8\r\n"), STR("Content-Length: 3\r\n"),
        STR("Transfer-Encoding: chunked\r\n"), STR("\r\n"),
        STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"),
        STR("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-0123456789abcdefghijklmn\r\n"
            "Content-Length: 13\r\n\r\n{\"model\":\"x\"}"),
        /* HTTP/2 in the clear: the preface, then frames (RFC 9113 6). */
        STR("PRI * HTTP/2.0\015\012\015\012SM\015\012\015\012\000\000\000\004\000\000\000\000\000"), /* preface */
        STR("\000\000\006\001\005\000\000\000\001\202\206\204A\001a"),                               /* get */
        STR("\000\000\006\001\005\000\000\000\003\202\206\204A\001a"), /* get on 3 */
        STR("\000\000\006\001\004\000\000\000\001\203\206\204A\001a"), /* post */
        STR("\000\000\005\000\001\000\000\000\001hello"),              /* data */
        STR("\000\000\003\000\000\000\000\000\001hel"),                /* some */
        STR("\000\000\011\001\005\000\000\000\001\000\005x-sum\0011"), /* trailers */
        STR("\000\000=\001\004\000\000\000\001B\007CONNECT\206\204A\001a\000\011:protocol\011websocket\000\025sec-websocket-version\00213"), /* websocket */
        STR("\000\000\004\003\000\000\000\000\001\000\000\000\010"),                 /* rst */
        STR("\000\000\010\007\000\000\000\000\000\000\000\000\000\000\000\000\000"), /* goaway */
        STR("\000\000\010\006\000\000\000\000\000\000\000\000\000\000\000\000\000"), /* ping */
        STR("\000\000\000\004\001\000\000\000\000"),                                 /* ack */
        STR("\000\000\004\010\000\000\000\000\000\000\000\377\377"),                 /* window */
        STR("\000\000\006\004\000\000\000\000\000\000\004\000\000\000\001"),         /* small windows */
};

static const struct str upstream_pieces[] = {
        STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        STR("5\r\nhello\r\n"),
        STR("0\r\n\r\n"),
        STR("HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        STR("HTTP/1.1 100 Continue\r\n\r\n"),
        STR("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        STR("HTTP/1.1 204 No Content\r\n\r\n"),
        STR("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
        STR("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        STR("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
        STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
        STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        STR("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        STR("\x81\x02hi"),
};

struct input {
        const uint8_t *at, *end;
};

static struct str bytes_take(struct input *in)
{
        size_t left = (size_t)(in->end - in->at), len = left ? *in->at++ : 0;

        left = (size_t)(in->end - in->at);
        struct str bytes = { (const char *)in->at, len < left ? len : left };
        in->at += bytes.len;
        return bytes;
}

static unsigned piece_take(struct input *in, size_t count)
{
        return in->at < in->end ? *in->at++ % (unsigned)count : 0;
}

static void other(struct lab *lab, unsigned what)
{
        static char answer[65536];

        if (what < LAB_CLIENTS)
                lab_client_connect(lab, what);
        else if (what < 2 * LAB_CLIENTS)
                lab_client_receive(lab, what - LAB_CLIENTS, answer, sizeof(answer));
        else if (what == 8)
                lab_reload(lab);
        else
                lab_turn(lab);
}

static void play(struct lab *lab, struct input *in)
{
        uint8_t byte = *in->at++;
        unsigned client = byte % LAB_CLIENTS, upstream = byte % LAB_UPSTREAMS;

        switch ((enum operation)(byte >> 5)) {
        case CLIENT_PIECE:
                lab_client_send(lab, client, client_pieces[piece_take(in, ARRAY_SIZE(client_pieces))]);
                break;
        case CLIENT_BYTES: lab_client_send(lab, client, bytes_take(in)); break;
        case CLIENT_END: lab_client_close(lab, client); break;
        case UPSTREAM_PIECE:
                lab_upstream_send(lab, upstream,
                                  upstream_pieces[piece_take(in, ARRAY_SIZE(upstream_pieces))]);
                break;
        case UPSTREAM_BYTES: lab_upstream_send(lab, upstream, bytes_take(in)); break;
        case UPSTREAM_END: lab_upstream_close(lab, upstream); break;
        case READ: lab_upstream_receive(lab, (size_t)1 << (byte & 15)); break;
        case OTHER: other(lab, byte & 31); break;
        }
        lab_turn(lab);
}

void program_play(struct lab *lab, struct str bytes)
{
        const uint8_t *data = (const uint8_t *)bytes.ptr;
        struct input in = { data, data + MIN(bytes.len, PROGRAM_BYTES_MAX) };

        lab_client_connect(lab, 0);
        while (in.at < in.end)
                play(lab, &in);
}
