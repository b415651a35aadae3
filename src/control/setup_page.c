#include "control/setup_page.h"

#include <stdio.h>

#include "crypto/sha256.h"
#include "crypto/text.h"
#include "proxy/reply.h"

#define SCRIPT                                                                                                 \
        "const say=t=>document.getElementById('say').textContent=t,go=document.getElementById('go');"          \
        "const [token,pin]=location.hash.slice(1).split('.');history.replaceState(null,'',location.pathname);" \
        "if(!token){say('This page needs the link that control printed when it started.');go.hidden=true}"     \
        "go.onclick=async()=>{go.disabled=true;const r=await fetch('/api/v1/owner',{method:'POST',"            \
        "headers:{'Content-Type':'application/json'},body:JSON.stringify({token})});const a=await r.json();"   \
        "if(!r.ok){say(a.error.message);return}go.hidden=true;"                                                \
        "say('You are the owner. This is your key; it is not shown again:');"                                  \
        "document.getElementById('key').textContent=a.key;"                                                    \
        "document.getElementById('how').textContent="                                                          \
        "\"export SEKISHO_SERVER='\"+location.origin+(pin?'#'+pin:'')+\"' SEKISHO_TOKEN=\"+a.key}"

#define PAGE                                                                                                       \
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sekisho control</title>"                  \
        "<meta name=\"viewport\" content=\"width=device-width\"><h1>Sekisho control</h1>"                          \
        "<p id=\"say\">Nobody owns this control server yet.</p><p><button id=\"go\">Become its owner</button></p>" \
        "<pre id=\"key\"></pre><pre id=\"how\"></pre><script>" SCRIPT "</script></html>\n"

static enum step_result pick(struct exchange *x)
{
        uint8_t hash[CRYPTO_SHA256_BYTES];
        char text[CRYPTO_BASE64_SIZE(CRYPTO_SHA256_BYTES)];
        struct str policy;

        crypto_sha256(STR(SCRIPT), hash);
        crypto_base64_format((struct str){ (const char *)hash, sizeof(hash) }, text);
        policy = arena_format(
                &x->arena,
                "default-src 'none'; connect-src 'self'; script-src 'sha256-%s'; frame-ancestors 'none'; "
                "base-uri 'none'; form-action 'none'",
                text);
        struct reply_field fields[] = { { STR("Content-Type"), STR("text/html; charset=utf-8") },
                                        { STR("Cache-Control"), STR("no-store") },
                                        { STR("Content-Security-Policy"), policy },
                                        { STR("Referrer-Policy"), STR("no-referrer") },
                                        { STR("X-Content-Type-Options"), STR("nosniff") } };

        reply_start(x, 200, fields, ARRAY_SIZE(fields), STR(PAGE));
        return STEP_DONE;
}

const struct handler setup_page_handler = { .name = "setup", .pick = pick };
