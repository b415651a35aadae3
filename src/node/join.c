#include "node/join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"
#include "crypto/secret.h"
#include "http/h1_read.h"
#include "io/timer.h"
#include "node/connect_priv.h"
#include "json/reader.h"

enum {
        HEAD_MAX = 8 * 1024,
        FIELDS_MAX = 64,
        ANSWER_MAX = HEAD_MAX + WIRE_JOIN_ANSWER_MAX,
        REQUEST_MAX = WIRE_JOIN_BODY_MAX + 1024,
        ANSWER_MS = 15 * 1000,
        AGAIN_LEAST_MS = 1000,
        AGAIN_MOST_MS = 30 * 1000,
        PENDING_MS = 10 * 1000,
        TRIES_AFTER_CHALLENGE_MAX = 5,
};

enum step { STEP_ASK, STEP_PROVE };
enum state { JOIN_WAITING, JOIN_CONNECTING, JOIN_TALKING, JOIN_CLOSING, JOIN_OVER };

struct node_join {
        struct node_join_conf conf;
        char token_text[WIRE_TOKEN_SIZE], name[WIRE_TEXT_MAX], program[WIRE_TEXT_MAX];
        struct wire_token token;
        struct node_pending pending; /* what is known so far */
        struct node_url url;
        struct wire_join_request request;
        struct buf body; /* of the first request: its hash is signed */

        enum step step;
        enum state state;
        unsigned failures;
        struct tls_context *tls;
        struct node_connect connect;
        struct timer timer;

        char out[REQUEST_MAX];
        size_t out_len, out_at;
        char in[ANSWER_MAX];
        size_t in_len, scanned;
        struct buf answer;
};

static void begin(struct node_join *j);

/* ---- the end, and the next try ---- */

static void finish(struct node_join *j, enum err e, const char *text)
{
        j->state = JOIN_OVER;
        timer_clear(&j->timer);
        j->conf.on_done(j->conf.context, e, str_of(text));
}

static void wait_for(struct node_join *j, int64_t ms)
{
        j->state = JOIN_WAITING;
        timer_set(j->conf.loop, &j->timer,
                  loop_now(j->conf.loop) + ms / 2 + crypto_random_below((uint32_t)ms / 2 + 1));
}

static void try_again(struct node_join *j, enum err e, const char *text)
{
        int64_t most = MIN((int64_t)AGAIN_LEAST_MS << MIN(j->failures, 6u), (int64_t)AGAIN_MOST_MS);

        j->failures++;
        j->conf.on_wait(j->conf.context, e, str_of(text));
        wait_for(j, most);
}

/* ---- requests ---- */

static void request_write(struct node_join *j)
{
        struct buf proof;
        struct str body = buf_str(&j->body);
        char path[WIRE_ID_MAX + 32] = "/api/v1/join";

        buf_init(&proof, WIRE_JOIN_BODY_MAX);
        if (j->step == STEP_PROVE) {
                wire_join_proof_write(&j->pending.proof, &proof);
                body = buf_str(&proof);
                snprintf(path, sizeof(path), "/api/v1/join/%s", j->pending.join);
        }
        int n = snprintf(
                j->out, sizeof(j->out),
                "POST %s HTTP/1.1\r\nHost: control.sekisho.internal\r\nContent-Type: application/json\r\n"
                "Content-Length: %zu\r\nConnection: close\r\n\r\n%.*s",
                path, body.len, STR_FMT(body));
        j->out_len = (size_t)n < sizeof(j->out) ? (size_t)n : 0;
        j->out_at = 0;
        buf_fini(&proof);
}

static void sign(struct node_join *j, const uint8_t challenge[WIRE_CHALLENGE_BYTES])
{
        uint8_t bytes[WIRE_PROOF_BYTES], signature[CRYPTO_P256_SIGNATURE_MAX];
        size_t len = 0;

        wire_proof_bytes(challenge, buf_str(&j->body), bytes);
        if (crypto_p256_sign(buf_str(&j->conf.state->identity_pem),
                             (struct str){ (char *)bytes, sizeof(bytes) }, signature, &len) == ERR_OK)
                memcpy(j->pending.proof.signature, signature, len);
        j->pending.proof.signature_len = len;
}

/* ---- answers ---- */

/* `{"error":{"message":…}}`, or `{"message":…}`; else what the status says. */
static const char *refusal_text(struct node_join *j, struct arena *arena, unsigned status, char *out,
                                size_t size)
{
        const struct json_value *root = NULL;
        struct str text = STR_NULL;

        if (json_read_strict(arena, buf_str(&j->answer), NULL, &root) == ERR_OK) {
                text = json_str(json_find(json_find(root, STR("error")), STR("message")));
                if (!text.len)
                        text = json_str(json_find(root, STR("message")));
        }
        snprintf(out, size, "control refuses the join (%u): %.*s", status,
                 text.len ? (int)MIN(text.len, 200u) : 0, text.len ? text.ptr : "");
        if (!text.len)
                snprintf(out, size, "control refuses the join (%u)%s", status,
                         status == 401 ? ": the token is unknown, used up or expired; make a new one" : "");
        return out;
}

static void challenged(struct node_join *j, struct arena *arena)
{
        struct wire_join_challenge c;

        if (wire_join_challenge_read(arena, buf_str(&j->answer), &c) != ERR_OK) {
                try_again(j, ERR_MALFORMED, "control's challenge is none");
                return;
        }
        snprintf(j->pending.join, sizeof(j->pending.join), "%.*s", STR_FMT(c.join));
        sign(j, c.challenge);
        j->step = STEP_PROVE;
        begin(j);
}

static bool copy(char *out, size_t size, struct str text)
{
        if (text.len >= size)
                return false;
        if (text.len)
                memcpy(out, text.ptr, text.len);
        out[text.len] = '\0';
        return true;
}

/* The papers fit: the authority is the token's, and the certificate goes with our key. */
static bool papers_fill(struct node_join *j, const struct wire_join_result *r, struct node_papers *p)
{
        uint8_t fingerprint[32];
        struct tls_context *tls;

        memset(p, 0, sizeof(*p));
        p->kind = j->conf.state->kind;
        p->issued = loop_wall(j->conf.loop);
        memcpy(p->document_key, r->document_key, sizeof(p->document_key));
        if (!copy(p->id, sizeof(p->id), r->id) || !copy(p->org, sizeof(p->org), r->org) ||
            !copy(p->name, sizeof(p->name), r->name) ||
            !copy(p->control, sizeof(p->control), str_of(j->pending.control)) ||
            !copy(p->certificate, sizeof(p->certificate), r->certificate) ||
            !copy(p->authority, sizeof(p->authority), r->authority) ||
            !wire_node_id_is_valid(p->kind, r->id) ||
            node_pem_fingerprint(r->authority, fingerprint) != ERR_OK ||
            !crypto_eq(fingerprint, j->pending.fingerprint, WIRE_FINGERPRINT_BYTES))
                return false;
        struct node_state probe = { .papers = *p, .identity_pem = j->conf.state->identity_pem };
        if (node_tls_new(&probe, NULL, &tls) != ERR_OK)
                return false;
        tls_context_put(tls);
        return true;
}

static void decided(struct node_join *j, struct arena *arena)
{
        struct wire_join_result r;
        struct node_papers *papers;

        if (wire_join_result_read(arena, buf_str(&j->answer), &r) != ERR_OK) {
                try_again(j, ERR_MALFORMED, "control's answer is none");
                return;
        }
        if (r.is_pending) {
                if (!j->conf.state->is_pending &&
                    node_state_save_pending(j->conf.state, &j->pending) != ERR_OK) {
                        finish(j, ERR_IO, "join.json cannot be written");
                        return;
                }
                j->failures = 0;
                j->conf.on_wait(j->conf.context, ERR_AGAIN, STR("the join waits for approval at control"));
                wait_for(j, PENDING_MS);
                return;
        }
        if (!(papers = malloc(sizeof(*papers)))) {
                finish(j, ERR_NO_MEMORY, "no memory");
                return;
        }
        if (!papers_fill(j, &r, papers))
                finish(j, ERR_DENIED,
                       "control's papers are not for this machine's key, or of another authority");
        else if (node_state_save_papers(j->conf.state, papers) != ERR_OK)
                finish(j, ERR_IO, "node.json cannot be written");
        else
                finish(j, ERR_OK, "joined");
        free(papers);
}

static void answered(struct node_join *j, unsigned status)
{
        struct arena arena;
        char text[512];

        arena_init(&arena, NULL, 0, 1 << 20);
        if (status == 200 || status == 201) {
                j->failures = 0;
                if (j->step == STEP_ASK)
                        challenged(j, &arena);
                else
                        decided(j, &arena);
        } else if (j->step == STEP_PROVE && status == 404 && j->body.len && !j->conf.state->is_pending &&
                   j->failures < TRIES_AFTER_CHALLENGE_MAX) {
                j->step = STEP_ASK; /* the challenge was too old */
                try_again(j, ERR_TIMED_OUT, "the challenge has expired");
        } else if (status == 429 || status >= 500) {
                try_again(j, ERR_REFUSED, "control is busy");
        } else {
                if (j->conf.state->is_pending)
                        node_state_forget_pending(j->conf.state);
                finish(j, ERR_DENIED, refusal_text(j, &arena, status, text, sizeof(text)));
        }
        arena_fini(&arena);
}

/* ---- one connection ---- */

static void hang_up(struct node_join *j)
{
        j->state = JOIN_CLOSING;
        timer_clear(&j->timer);
        stream_close(&j->connect.stream, STREAM_CLOSE_PLAIN);
}

/* The whole answer is there: its status; 0: more is needed, -1: it is none. */
static int answer_take(struct node_join *j)
{
        static const struct h1_limits limits = { HEAD_MAX, 1024, FIELDS_MAX };
        struct http_field fields[FIELDS_MAX];
        struct http_head head = { .fields = fields, .fields_max = FIELDS_MAX };
        struct http_refusal refusal;
        struct str in = { j->in, j->in_len };
        struct h1_body body;
        struct h1_body_part part;
        enum err e = h1_response_parse(in, &limits, HTTP_POST, &j->scanned, &head, &refusal);

        if (e != ERR_OK)
                return e == ERR_AGAIN ? 0 : -1;
        /* Read again from the head's end each time: answers are small, and come in one piece. */
        buf_clear(&j->answer);
        h1_body_init(&body, &head);
        in = str_from(in, head.bytes);
        do {
                if (h1_body_read(&body, in, &part, &refusal) != ERR_OK)
                        return -1;
                for (size_t i = 0; i < part.slices_count; i++)
                        buf_add(&j->answer, part.slices[i]);
                in = str_from(in, part.consumed);
                if (part.is_last)
                        return j->answer.full ? -1 : head.status;
        } while (part.consumed > 0 && in.len);
        return 0;
}

static void read_some(struct node_join *j)
{
        size_t got;
        enum err e;

        while ((e = stream_read(&j->connect.stream, j->in + j->in_len, sizeof(j->in) - j->in_len, &got)) ==
               ERR_OK) {
                j->in_len += got;
                if (j->in_len == sizeof(j->in))
                        break;
        }
        int status = answer_take(j);
        if (status == 0 && e == ERR_AGAIN)
                return;
        j->scanned = status > 0 ? (size_t)status : 0; /* said once the connection is closed */
        if (status <= 0)
                j->connect.why =
                        e == ERR_AGAIN || e == ERR_OK ? "control's answer is none" : "control hung up";
        hang_up(j);
}

static void write_some(struct node_join *j)
{
        while (j->out_at < j->out_len) {
                struct iovec part = { j->out + j->out_at, j->out_len - j->out_at };
                size_t written;
                enum err e = stream_write(&j->connect.stream, &part, 1, &written);
                if (e == ERR_AGAIN)
                        return;
                if (e != ERR_OK) {
                        j->scanned = 0;
                        j->connect.why = "control hung up";
                        hang_up(j);
                        return;
                }
                j->out_at += written;
        }
}

static void on_open(struct stream *s, enum err e)
{
        struct node_join *j = CONTAINER_OF(s, struct node_join, connect.stream);
        const char *version = e == ERR_OK ? stream_tls_version(s) : NULL;

        if (version && strcmp(version, "TLSv1.3") == 0) {
                j->state = JOIN_TALKING;
                write_some(j);
                return;
        }
        j->connect.why = "control's certificate is not of the authority that the token names, or TLS failed";
        hang_up(j);
}

static void on_ready(struct stream *s, unsigned ready)
{
        struct node_join *j = CONTAINER_OF(s, struct node_join, connect.stream);

        if (j->state == JOIN_TALKING && (ready & STREAM_WRITABLE))
                write_some(j);
        if (j->state == JOIN_TALKING && (ready & STREAM_READABLE))
                read_some(j);
}

static void on_closed(struct stream *s)
{
        struct node_join *j = CONTAINER_OF(s, struct node_join, connect.stream);

        j->connect.is_open = false;
        if (j->state == JOIN_OVER)
                return;
        if (j->scanned > 0)
                answered(j, (unsigned)j->scanned);
        else
                try_again(j, ERR_UNREACHABLE, j->connect.why);
}

static const struct stream_events events = { on_open, on_ready, on_closed };

static void on_failed(struct node_connect *c)
{
        struct node_join *j = CONTAINER_OF(c, struct node_join, connect);

        timer_clear(&j->timer);
        try_again(j, ERR_UNREACHABLE, c->why);
}

static void begin(struct node_join *j)
{
        request_write(j);
        j->in_len = j->scanned = 0;
        j->state = JOIN_CONNECTING;
        timer_set(j->conf.loop, &j->timer, loop_now(j->conf.loop) + ANSWER_MS);
        node_connect_start(&j->connect, j->conf.loop, j->conf.resolver, j->tls, &j->url, &events, on_failed);
}

static void on_timer(struct timer *t)
{
        struct node_join *j = CONTAINER_OF(t, struct node_join, timer);

        if (j->state == JOIN_WAITING) {
                begin(j);
        } else if (j->connect.is_open) {
                j->scanned = 0;
                j->connect.why = "control does not answer";
                hang_up(j);
        } else {
                node_connect_cancel(&j->connect);
                try_again(j, ERR_TIMED_OUT, "control does not answer");
        }
}

/* ---- life ---- */

static enum err setup_token(struct node_join *j)
{
        struct str url;

        if (wire_token_url_parse(j->conf.token_url, &j->token, &url) != ERR_OK ||
            !copy(j->pending.control, sizeof(j->pending.control), url))
                return ERR_MALFORMED;
        copy(j->token_text, sizeof(j->token_text), j->token.secret);
        memcpy(j->pending.fingerprint, j->token.fingerprint, WIRE_FINGERPRINT_BYTES);
        j->request = (struct wire_join_request){ .token = str_of(j->token_text),
                                                 .kind = j->conf.state->kind,
                                                 .name = str_of(j->name),
                                                 .program = str_of(j->program),
                                                 .identity_len = CRYPTO_P256_SPKI_BYTES };
        memcpy(j->request.identity, j->conf.state->spki, CRYPTO_P256_SPKI_BYTES);
        memcpy(j->request.seal, j->conf.state->seal_public, WIRE_KEY_BYTES);
        memcpy(j->request.tunnel, j->conf.state->tunnel_public, WIRE_KEY_BYTES);
        wire_join_request_write(&j->request, &j->body);
        return j->body.full ? ERR_TOO_LARGE : ERR_OK;
}

enum err node_join_start(const struct node_join_conf *conf, struct node_join **out)
{
        struct node_join *j = calloc(1, sizeof(*j));
        enum err e = ERR_OK;

        if (!j)
                return ERR_NO_MEMORY;
        j->conf = *conf;
        buf_init_secret(&j->body, WIRE_JOIN_BODY_MAX);
        buf_init(&j->answer, WIRE_JOIN_ANSWER_MAX);
        timer_init(&j->timer, on_timer);
        bool is_new = conf->token_url.len > 0;
        if (!copy(j->name, sizeof(j->name), conf->name) ||
            !copy(j->program, sizeof(j->program), conf->program) || (!is_new && !conf->state->is_pending))
                e = ERR_MALFORMED;
        else if (is_new)
                e = setup_token(j);
        else
                j->pending = conf->state->pending, j->step = STEP_PROVE;
        if (e == ERR_OK)
                e = node_url_parse(str_of(j->pending.control), &j->url);
        if (e == ERR_OK)
                e = node_tls_new(conf->state, j->pending.fingerprint, &j->tls);
        if (e != ERR_OK) {
                node_join_free(j);
                return e;
        }
        timer_set(conf->loop, &j->timer, loop_now(conf->loop));
        *out = j;
        return ERR_OK;
}

void node_join_stop(struct node_join *j)
{
        timer_clear(&j->timer);
        if (j->connect.is_open)
                stream_close(&j->connect.stream, STREAM_CLOSE_PLAIN);
        else if (j->state == JOIN_CONNECTING)
                node_connect_cancel(&j->connect);
        j->state = JOIN_OVER;
}

void node_join_free(struct node_join *j)
{
        if (!j)
                return;
        tls_context_put(j->tls);
        buf_wipe(&j->body);
        buf_fini(&j->answer);
        crypto_wipe(j, sizeof(*j));
        free(j);
}
