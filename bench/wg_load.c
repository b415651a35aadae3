/*
 * What drives the tunnels that bench/wg measures. Prints one line of JSON.
 *
 *   send ADDRESS PORT BYTES RATE SECONDS    paced datagrams, numbered
 *   receive PORT                            counts them until standard input ends
 *   keys COUNT                              public keys of the peers below, a line each
 *   peers COUNT KEY ADDRESS PORT NET        COUNT peers, each with a key and an address of its own (NET.0.0 and up), begin at once
 *                                           and ask again after 5 s, as peers do
 *   strangers KEY ADDRESS PORT NET RATE SECONDS   initiations that know the public key, of nobody known, from 65,536 addresses
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "crypto/blake2s.h"
#include "crypto/text.h"
#include "crypto/x25519.h"
#include "io/udp.h"
#include "wg/cookie.h"
#include "wg/endpoint.h"
#include "wg/noise.h"

enum { BATCH = 64, DATAGRAM_MAX = 2048, QUEUE_BYTES = 16 << 20, NS_A_MS = 1000000 };

static void stop(const char *why)
{
        fprintf(stderr, "wg_load: %s\n", why);
        exit(1);
}

static int64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t number(const char *text)
{
        uint64_t n;

        if (units_parse_u64(str_of(text), UINT32_MAX, &n) != ERR_OK)
                stop("expected a number");
        return n;
}

static struct ip address(const char *text)
{
        struct ip ip;

        if (ip_parse(str_of(text), &ip) != ERR_OK || ip.family != 4)
                stop("expected an IPv4 address");
        return ip;
}

/* ---- datagrams through the tunnel ---- */

static int plain_socket(uint16_t port)
{
        struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(port) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = QUEUE_BYTES;

        if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
                stop("no socket");
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
        return fd;
}

static void messages_init(struct mmsghdr *m, struct iovec *slices, uint8_t (*bytes)[DATAGRAM_MAX], size_t len)
{
        memset(m, 0, BATCH * sizeof(*m));
        for (size_t i = 0; i < BATCH; i++) {
                slices[i] = (struct iovec){ bytes[i], len };
                m[i].msg_hdr.msg_iov = &slices[i];
                m[i].msg_hdr.msg_iovlen = 1;
        }
}

static uint8_t datagrams[BATCH][DATAGRAM_MAX];

/* How many are due at a steady rate, begun at `begin`. */
static uint64_t due(int64_t begin, uint64_t rate, int64_t seconds)
{
        int64_t ns = now_ns() - begin, all = seconds * 1000000000;

        return (uint64_t)((double)(ns < all ? ns : all) * 1e-9 * (double)rate);
}

static void rest(void)
{
        nanosleep(&(struct timespec){ .tv_nsec = NS_A_MS / 4 }, NULL);
}

static void send_datagrams(char **a)
{
        struct ip to = address(a[0]);
        uint64_t rate = number(a[3]), sent = 0, refused = 0, wanted;
        int64_t seconds = (int64_t)number(a[4]), begin = now_ns();
        struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = htons((uint16_t)number(a[1])) };
        struct mmsghdr m[BATCH];
        struct iovec slices[BATCH];
        int fd = plain_socket(0);

        memcpy(&there.sin_addr, to.bytes, 4);
        if (connect(fd, (struct sockaddr *)&there, sizeof(there)) < 0)
                stop("no way there");
        messages_init(m, slices, datagrams, number(a[2]));
        while (now_ns() - begin < seconds * 1000000000) {
                wanted = due(begin, rate, seconds);
                while (sent < wanted && now_ns() - begin < seconds * 1000000000) {
                        unsigned n = (unsigned)MIN(wanted - sent, (uint64_t)BATCH);
                        int done = sendmmsg(fd, m, n, 0);
                        if (done < 0)
                                refused++; /* the device's queue is full: lost, as on a wire */
                        sent += done < 0 ? 1 : (unsigned)done;
                }
                rest();
        }
        printf("{\"sent\": %lu, \"refused\": %lu, \"seconds\": %.3f}\n", (unsigned long)sent,
               (unsigned long)refused, (double)(now_ns() - begin) * 1e-9);
}

static void receive_datagrams(char **a)
{
        int fd = plain_socket((uint16_t)number(a[0]));
        struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };
        struct mmsghdr m[BATCH];
        struct iovec slices[BATCH];
        unsigned long received = 0;
        bool is_over = false;

        messages_init(m, slices, datagrams, DATAGRAM_MAX);
        printf("ready\n");
        fflush(stdout);
        while (!is_over) {
                if (poll(p, 2, -1) < 0 && errno != EINTR)
                        stop("poll");
                for (int n; (n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL)) > 0;)
                        received += (unsigned)n;
                is_over = p[1].revents != 0;
        }
        printf("{\"received\": %lu}\n", received);
}

/* ---- handshakes ---- */

struct peer {
        struct wg_identity identity;
        struct wg_handshake handshake;
        struct wg_cookie_maker cookie;
        int64_t asked;
        bool is_done;
};

static struct peer *peers;
static struct udp udp;
static struct wg_endpoint server;
static uint8_t server_key[WG_KEY_BYTES];
static uint32_t net; /* the first address of the sources */
static unsigned long asked_count, cookies_count, done_count;

/* The same each time: what `keys` prints is what `peers` uses. */
static void private_key(uint32_t which, uint8_t out[WG_KEY_BYTES])
{
        uint8_t seed[12] = "bench wg";

        wg_put_u32(seed + 8, which);
        crypto_blake2s(&(struct str){ (char *)seed, sizeof(seed) }, 1, out);
        crypto_x25519_clamp(out);
}

static struct ip source_of(uint32_t which)
{
        uint8_t bytes[4];

        for (size_t i = 0; i < 4; i++)
                bytes[i] = (uint8_t)((net + 256 + which) >> (24 - 8 * i));
        return ip_from_bytes(4, bytes);
}

static void handshakes_init(const char *key, const char *to, const char *port, const char *sources)
{
        struct udp_conf conf = { .family = 4, .buffer_bytes = QUEUE_BYTES };
        struct ip first;
        char text[32];
        size_t len;

        if (crypto_base64_parse(str_of(key), server_key, sizeof(server_key), &len) != ERR_OK)
                stop("expected a key");
        server.ip = address(to);
        server.port = (uint16_t)number(port);
        snprintf(text, sizeof(text), "%s.0.0", sources);
        first = address(text);
        net = (uint32_t)first.bytes[0] << 24 | (uint32_t)first.bytes[1] << 16;
        if (udp_open(&udp, &conf) != ERR_OK)
                stop("no socket");
}

static void send_from(uint32_t which, const uint8_t *message, size_t len)
{
        struct udp_burst b = { .bytes = message,
                               .len = len,
                               .datagram_bytes = len,
                               .to = server.ip,
                               .port = server.port,
                               .source = source_of(which) };
        size_t sent;

        (void)!udp_send(&udp, &b, 1, &sent); /* what is lost is asked again */
}

static void initiation(struct peer *p, uint32_t which, uint8_t message[WG_INITIATION_BYTES])
{
        uint8_t ephemeral[WG_KEY_BYTES], seed[20] = "ephemeral", stamp[WG_TIMESTAMP_BYTES] = { 0x40 };
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        wg_put_u32(seed + 12, which);
        wg_put_u32(seed + 16, (uint32_t)t.tv_nsec);
        crypto_blake2s(&(struct str){ (char *)seed, sizeof(seed) }, 1, ephemeral);
        for (size_t i = 0; i < 4; i++) {
                stamp[4 + i] = (uint8_t)((uint64_t)t.tv_sec >> (24 - 8 * i));
                stamp[8 + i] = (uint8_t)((uint64_t)t.tv_nsec >> (24 - 8 * i));
        }
        if (wg_noise_create_initiation(&p->handshake, &p->identity, ephemeral, stamp, which + 1, message) !=
            ERR_OK)
                stop("the key is none");
        wg_cookie_add_macs(&p->cookie, message, WG_INITIATION_MAC1, now_ns() / NS_A_MS);
}

static void peer_init(struct peer *p, uint32_t which)
{
        uint8_t key[WG_KEY_BYTES];

        private_key(which, key);
        wg_identity_set(&p->identity, key);
        wg_handshake_init(&p->handshake, &p->identity, server_key);
        wg_cookie_maker_init(&p->cookie, server_key);
}

static void ask(struct peer *p, uint32_t which)
{
        uint8_t message[WG_INITIATION_BYTES];

        initiation(p, which, message);
        send_from(which, message, sizeof(message));
        p->asked = now_ns();
        asked_count++;
}

/* The first packet under the new keys, an empty one: only with it the other end has the session. */
static void confirm(struct peer *p, uint32_t which)
{
        uint8_t message[WG_DATA_OVERHEAD] = { WG_MESSAGE_DATA };
        struct wg_keypair k;

        wg_noise_begin_session(&p->handshake, &k, 0);
        wg_put_u32(message + WG_DATA_RECEIVER, k.remote_index);
        struct crypto_aead_packet packet = { message + WG_DATA_PACKET, 0, 0, false };
        crypto_aead_seal_many(&k.sending, &packet, 1);
        send_from(which, message, sizeof(message));
        p->is_done = true;
        done_count++;
}

static void take_answer(const uint8_t *message, size_t len, uint32_t count)
{
        uint32_t type = len >= 12 ? wg_get_u32(message) : 0, which;

        if (type == WG_MESSAGE_COOKIE_REPLY && len == WG_COOKIE_REPLY_BYTES) {
                which = wg_get_u32(message + 4) - 1;
                cookies_count++;
                if (which < count)
                        (void)!wg_cookie_consume(&peers[which].cookie, message, now_ns() / NS_A_MS);
        } else if (type == WG_MESSAGE_RESPONSE && len == WG_RESPONSE_BYTES) {
                which = wg_get_u32(message + WG_RESPONSE_RECEIVER) - 1;
                if (which < count && !peers[which].is_done &&
                    wg_noise_consume_response(&peers[which].handshake, &peers[which].identity, message) ==
                            ERR_OK)
                        confirm(&peers[which], which);
        }
}

static void take_answers(uint32_t count)
{
        static uint8_t memory[UDP_ARRIVALS_MAX * UDP_ARRIVAL_BYTES];
        struct udp_arrival arrivals[UDP_ARRIVALS_MAX];
        size_t n;

        while (udp_receive(&udp, memory, arrivals, UDP_ARRIVALS_MAX, &n) == ERR_OK)
                for (size_t i = 0; i < n; i++)
                        for (size_t at = 0; at < arrivals[i].len; at += arrivals[i].datagram_bytes)
                                take_answer(arrivals[i].bytes + at,
                                            MIN(arrivals[i].datagram_bytes, arrivals[i].len - at), count);
}

static void handshake_peers(char **a)
{
        const int64_t again_ns = WG_REKEY_TIMEOUT_MS * NS_A_MS, most_ns = INT64_C(90) * 1000000000;
        uint32_t count = (uint32_t)number(a[0]);

        handshakes_init(a[1], a[2], a[3], a[4]);
        if (!(peers = calloc(count, sizeof(*peers))))
                stop("out of memory");
        for (uint32_t i = 0; i < count; i++)
                peer_init(&peers[i], i);
        int64_t begin = now_ns();
        while (done_count < count && now_ns() - begin < most_ns) {
                for (uint32_t i = 0; i < count; i++) {
                        if (!peers[i].is_done && (!peers[i].asked || now_ns() - peers[i].asked > again_ns))
                                ask(&peers[i], i);
                        if (i % 16 == 0)
                                take_answers(count);
                }
                take_answers(count);
                rest();
        }
        printf("{\"peers\": %u, \"done\": %lu, \"asked\": %lu, \"cookies\": %lu, \"seconds\": %.3f}\n", count,
               done_count, asked_count, cookies_count, (double)(now_ns() - begin) * 1e-9);
}

static void flood(char **a)
{
        enum { MESSAGES = 2048 };
        static uint8_t messages[MESSAGES][WG_INITIATION_BYTES];
        static struct peer nobody;
        uint64_t rate = number(a[4]), sent = 0, wanted;
        int64_t seconds = (int64_t)number(a[5]);

        handshakes_init(a[0], a[1], a[2], a[3]);
        for (uint32_t i = 0; i < MESSAGES; i++) {
                peer_init(&nobody, 1u << 30 | i);
                initiation(&nobody, i, messages[i]);
        }
        printf("ready\n");
        fflush(stdout);
        int64_t begin = now_ns();
        while (now_ns() - begin < seconds * 1000000000) {
                wanted = due(begin, rate, seconds);
                for (; sent < wanted && now_ns() - begin < seconds * 1000000000; sent++)
                        send_from((uint32_t)(sent * 40503 % 60000), messages[sent % MESSAGES],
                                  WG_INITIATION_BYTES);
                rest();
        }
        printf("{\"sent\": %lu, \"seconds\": %.3f}\n", (unsigned long)sent,
               (double)(now_ns() - begin) * 1e-9);
}

static void print_keys(char **a)
{
        uint32_t count = (uint32_t)number(a[0]);

        for (uint32_t i = 0; i < count; i++) {
                uint8_t key[WG_KEY_BYTES], public_key[WG_KEY_BYTES];
                char text[CRYPTO_BASE64_SIZE(WG_KEY_BYTES)];
                private_key(i, key);
                crypto_x25519_public(key, public_key);
                crypto_base64_format((struct str){ (char *)public_key, sizeof(public_key) }, text);
                printf("%s\n", text);
        }
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                int arguments;
                void (*run)(char **arguments);
        } modes[] = { { "send", 5, send_datagrams },
                      { "receive", 1, receive_datagrams },
                      { "keys", 1, print_keys },
                      { "peers", 5, handshake_peers },
                      { "strangers", 6, flood } };

        for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(modes); i++)
                if (strcmp(argv[1], modes[i].name) == 0 && argc == 2 + modes[i].arguments) {
                        modes[i].run(argv + 2);
                        return 0;
                }
        fprintf(stderr, "usage: see the head of bench/wg_load.c\n");
        return 2;
}
