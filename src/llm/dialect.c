#include "llm/dialect.h"

#include "base/escape.h"
#include "proxy/reply.h"

static const char *openai_type(uint16_t status)
{
        switch (status) {
        case 401: return "authentication_error";
        case 403: return "permission_error";
        case 429: return "rate_limit_error";
        default: return status >= 500 ? "server_error" : "invalid_request_error";
        }
}

/* The code that clients of that API know, where there is one. */
static const char *openai_code(uint16_t status, const char *refused)
{
        switch (status) {
        case 401: return "invalid_api_key";
        case 404: return "model_not_found";
        case 429: return "rate_limit_exceeded";
        default: return refused;
        }
}

/* Callers' libraries try again by themselves where that may help; here it does not. */
static void retry_discourage(struct exchange *x, uint16_t status)
{
        if (status == 401 || status == 403 || status == 404)
                reply_will_have(x, "x-should-retry", STR("false"));
}

void dialect_openai_error(struct exchange *x, uint16_t status, const char *type, const char *message,
                          struct buf *out)
{
        const char *code = openai_code(status, x->refused);

        (void)type;
        retry_discourage(x, status);
        reply_will_have(x, "x-request-id",
                        (struct str){ x->id, EXCHANGE_ID_LEN }); /* where its clients look */
        buf_add(out, STR("{\"error\":{\"message\":\""));
        escape_json(out, str_of(message));
        buf_addf(out, "\",\"type\":\"%s\",\"param\":%s,\"code\":\"%s\"}}\n", openai_type(status),
                 status == 404 ? "\"model\"" : "null", code ? code : "error");
}

static const char *anthropic_type(uint16_t status)
{
        switch (status) {
        case 401: return "authentication_error";
        case 403: return "permission_error";
        case 404: return "not_found_error";
        case 413: return "request_too_large";
        case 429: return "rate_limit_error";
        case 503:
        case 529: return "overloaded_error";
        case 504: return "timeout_error";
        default: return status >= 500 ? "api_error" : "invalid_request_error";
        }
}

void dialect_anthropic_error(struct exchange *x, uint16_t status, const char *type, const char *message,
                             struct buf *out)
{
        (void)type;
        retry_discourage(x, status);
        reply_will_have(x, "request-id", (struct str){ x->id, EXCHANGE_ID_LEN });
        buf_addf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"",
                 anthropic_type(status));
        escape_json(out, str_of(message));
        buf_addf(out, "\"},\"request_id\":\"%s\"}\n", x->id);
}

void dialect_ollama_error(struct exchange *x, uint16_t status, const char *type, const char *message,
                          struct buf *out)
{
        (void)x, (void)status, (void)type;
        buf_add(out, STR("{\"error\":\""));
        escape_json(out, str_of(message));
        buf_add(out, STR("\"}\n"));
}
