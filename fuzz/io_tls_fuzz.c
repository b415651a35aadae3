/*
 * Bytes of a stranger on a TLS port: a whole server stream over a socket pair, fed in portions whose sizes the input chooses.
 * The key is made anew in each process, so a corpus file reaches as far as a hello; whatever comes, the stream says how it
 * ended once, and can be closed.
 */
#include <assert.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/stream.h"
#include "io/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct conn {
        struct stream stream;
        unsigned opened, closed;
        enum err open_err;
};

static struct loop *loop;
static struct tls_context *context;

static void on_open(struct stream *s, enum err e)
{
        struct conn *c = CONTAINER_OF(s, struct conn, stream);

        c->opened++;
        c->open_err = e;
}

static void on_ready(struct stream *s, unsigned ready)
{
        char bytes[512];
        size_t got;

        while (stream_read(s, bytes, sizeof(bytes), &got) == ERR_OK)
                ;
}

static void on_closed(struct stream *s)
{
        CONTAINER_OF(s, struct conn, stream)->closed++;
}

static const struct stream_events events = { on_open, on_ready, on_closed };

static struct str pem_of(BIO *bio)
{
        char *text;
        long len = BIO_get_mem_data(bio, &text);

        return (struct str){ text, (size_t)len };
}

static void make_context(void)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *c = X509_new();
        BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());
        X509_EXTENSION *names =
                X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:a.example,DNS:*.b.example");
        struct report r;

        assert(key && c && cert_pem && key_pem && names);
        X509_set_version(c, 2);
        X509_gmtime_adj(X509_getm_notBefore(c), -60);
        X509_gmtime_adj(X509_getm_notAfter(c), 86400);
        X509_set_pubkey(c, key);
        X509_add_ext(c, names, -1);
        X509_sign(c, key, EVP_sha256());
        PEM_write_bio_X509(cert_pem, c);
        PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL);
        struct tls_certificate certificates[2] = { { pem_of(cert_pem), pem_of(key_pem), STR("cert"),
                                                     STR("key") } };
        certificates[1] = certificates[0];
        struct tls_server_conf conf = { .certificates = certificates,
                                        .certificates_count = 2,
                                        .offer_h2 = true };
        report_init(&r, STR("fuzz"));
        enum err e = tls_server_new(&conf, &r, &context);
        assert(e == ERR_OK);
        report_fini(&r);
        X509_EXTENSION_free(names);
        BIO_free(cert_pem);
        BIO_free(key_pem);
        X509_free(c);
        EVP_PKEY_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct conn c = { .open_err = ERR_OK };
        int fds[2];
        char bytes[4096];
        enum err e;

        if (!loop) {
                e = loop_new(&loop);
                assert(e == ERR_OK);
                make_context();
        }
        if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
                return 0;
        e = stream_open_tls_server(&c.stream, loop, fds[0], &events, context);
        assert(e == ERR_OK);
        size_t portion = 1 + (size_t)data[0] * 16;
        data++;
        size--;
        while (size) {
                size_t n = MIN(portion, size);
                if (send(fds[1], data, n, MSG_NOSIGNAL) != (ssize_t)n)
                        break;
                data += n;
                size -= n;
                loop_turn(loop, 0);
                while (recv(fds[1], bytes, sizeof(bytes), 0) > 0)
                        ;
        }
        close(fds[1]);
        for (int i = 0; i < 3; i++)
                loop_turn(loop, 0);
        assert(c.opened == 1);
        assert(c.open_err != ERR_OK); /* nobody gets through without the key exchange */
        stream_close(&c.stream, STREAM_CLOSE_LINGER);
        for (int i = 0; i < 3; i++)
                loop_turn(loop, 0);
        assert(c.closed == 1);
        return 0;
}
