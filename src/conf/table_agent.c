#include "conf/check_priv.h"
#include "conf/draft_priv.h"
#include "conf/table_priv.h"

#define AT(type, member) .offset = offsetof(struct type, member)

static const struct conf_key gateway_keys[] = {
        { "address", CONF_TYPE_TEXTS, CONF_REQUIRED, AT(draft_agent_gateway, addresses),
          .doc = "Where it listens with TLS: `gw.example.com`, `203.0.113.7:8443`; without a port 443. Of several (at "
                 "most 16) the next is tried where one does not answer." },
        { "id", CONF_TYPE_TEXT, 0, AT(draft_agent_gateway, id), .unless = "any gateway of the authority",
          .doc = "Which gateway its certificate must name." },
};
static const struct conf_table conf_table_agent_gateway = {
        "agent.gateways[]",     sizeof(struct draft_agent_gateway),
        .keys = gateway_keys,   .keys_count = ARRAY_SIZE(gateway_keys),
        .short_key = "address", .doc = "A gateway to keep links to.",
};

static const struct conf_key service_keys[] = {
        { "upstream", CONF_TYPE_TEXT, CONF_REQUIRED, AT(draft_agent_service, upstream),
          .doc = "One of `upstreams`: what answers, with its health checks, balancing and timeouts." },
};
static const struct conf_table conf_table_agent_service = {
        "agent.services.ID",
        sizeof(struct draft_agent_service),
        .keys = service_keys,
        .keys_count = ARRAY_SIZE(service_keys),
        .short_key = "upstream",
        .doc = "What gateways may ask for, by the id they call it (`link://AGENT/ID`).",
};

static const struct conf_key dispatch_keys[] = {
        { "allow", CONF_TYPE_TEXTS, 0, AT(draft_agent, dispatch_allow), "[]",
          .doc = "Destinations, in the form of `agent.allow`: `*:443`, `api.example.com:80-443`, `203.0.113.0/24`. A name lets only "
                 "addresses of the public Internet pass; private, loopback, link-local and metadata addresses only a prefix "
                 "within them. Empty: this agent sends nothing." },
        { "addresses", CONF_TYPE_TEXTS, 0, AT(draft_agent, dispatch_addresses),
          .unless = "every public IPv6 address and the IPv4 addresses of this machine, as they come and go",
          .doc = "The addresses to send from." },
};
static const struct conf_table conf_table_dispatch = {
        "agent.dispatch",
        .keys = dispatch_keys,
        .keys_count = ARRAY_SIZE(dispatch_keys),
        .short_key = "allow",
        .doc = "Requests that callers of control's `/api/execute` have sent from this machine's addresses.",
};

static const struct conf_word websocket_words[] = {
        { "fallback", CONF_WEBSOCKET_FALLBACK, "where the straight way meets somebody else than a gateway" },
        { "always", CONF_WEBSOCKET_ALWAYS, NULL },
        { "never", CONF_WEBSOCKET_NEVER, NULL },
        { NULL },
};

static const struct conf_key agent_keys[] = {
        { "gateways", CONF_TYPE_LIST, 0, AT(draft_agent, gateways), "[]", .table = &conf_table_agent_gateway,
          .doc = "The gateways to keep links to." },
        { "proxy", CONF_TYPE_TEXT, 0, AT(draft_agent, proxy), .unless = "dialled directly",
          .doc = "An HTTP proxy on the way out, `http://proxy:3128`: gateways are reached by CONNECT." },
        { "proxyCredentials", CONF_TYPE_SECRET, 0, AT(draft_agent, proxy_credentials), .unless = "none",
          .doc = "What the proxy asks for: `user:password`, sent as Basic." },
        { "authority", CONF_TYPE_TEXT, 0, AT(draft_agent, authority), .unless = "required with `gateways`",
          .doc = "PEM file of the authority that gateways' certificates come from; no other is believed." },
        { "cert", CONF_TYPE_TEXT, 0, AT(draft_agent, cert), .unless = "required with `gateways`",
          .doc = "PEM file of the agent's certificate, with the name `sekisho://ORG/agent/ID`." },
        { "key", CONF_TYPE_TEXT, 0, AT(draft_agent, key), .unless = "required with `gateways`",
          .doc = "PEM file of its key." },
        { "links", CONF_TYPE_NUMBER, 0, AT(draft_agent, agent.links), "1", 1, 8,
          .doc = "Links to each worker of a gateway; more where one connection does not fill the path." },
        { "docker", CONF_TYPE_TEXT, 0, AT(draft_agent, docker), .unless = "no Engine is asked",
          .doc = "The Docker Engine's socket, `unix:/run/docker.sock`: containers with a label `sekisho.host` are offered to control, which "
                 "publishes what its owner granted this agent. Only its list and its events are asked for." },
        { "websocket", CONF_TYPE_WORD, 0, AT(draft_agent, agent.websocket), "\"fallback\"",
          .words = websocket_words,
          .doc = "Links as WebSockets of HTTPS, for networks that let nothing else through. What is inside is the same mutual TLS; whoever ends "
                 "the outer one reads nothing of it." },
        { "overlay", CONF_TYPE_NUMBER, 0, AT(draft_agent, agent.overlay), "0", 0, 65535,
          .doc = "The UDP port of the overlay at gateways that do not say theirs to control, 51820 where nothing else is meant, at the addresses their links "
                 "go to: there they may dial this agent, too. For an agent that has joined a control; read when it starts. 0: it is not in the overlay." },
        { "inference", CONF_TYPE_TEXT, 0, AT(draft_agent, inference), "\"offer\"",
          .doc = "Servers of models on this machine: `offer` tells control which there are (Ollama at port 11434, llama.cpp at 8080, vLLM "
                 "at 8000, SGLang at 30000, LM Studio at 1234) and what they serve, `off` asks nobody; other ports as "
                 "`ollama=11435,vllm=8001`. Control publishes them when its owner wants it to." },
        { "services", CONF_TYPE_MAP, 0, AT(draft_agent, services), "{}", .table = &conf_table_agent_service,
          .doc = "What is offered; gateways get nothing else." },
        { "allow", CONF_TYPE_TEXTS, 0, AT(draft_agent, allow), "[]",
          .doc = "Where the agent may dial at all, whatever control says: `10.0.0.0/8`, `127.0.0.1:8080`, "
                 "`localhost:3000-3999`, `*.lan:443`, `unix:/run/app.sock`. A name lets its addresses pass but those of "
                 "loopback and link-local, which are let pass only where a range within them, or `localhost`, is named. "
                 "Empty: what `services` here name, and for control's anything but link-local addresses, Unix sockets, and "
                 "names that turn out to be this machine." },
        { "dispatch", CONF_TYPE_TABLE, 0, .table = &conf_table_dispatch,
          .doc = "Requests sent out for callers." },
};
const struct conf_table conf_table_agent = {
        "agent",
        .has_place = true,
        .is_optional = true,
        .keys = agent_keys,
        .keys_count = ARRAY_SIZE(agent_keys),
        .doc = "`sekisho agent`: serves what stands beside it through gateways it dials out to.",
};
