/*
 * conf/draft_priv.h - the configuration as it was written: what the table's setters fill, before names are resolved.
 *
 * A draft holds the public struct where a key maps to it directly, and beside it the texts that need a second look,
 * with their places, so that a late error still names line and column. Drafts live in the configuration's arena;
 * `config show` walks them.
 */
#pragma once

#include "conf/conf.h"

struct draft_place {
        uint32_t line, column; /* 0: a default */
};

/* The line of all that control published (merge.c): it has none that an operator could look at. */
#define DRAFT_LINE_PUBLISHED UINT32_MAX

struct draft_text {
        struct str text; /* ptr NULL: not given, and no default */
        struct draft_place at;
};

struct draft_number {
        uint64_t value;
        struct draft_place at;
};

/* A secret is read when it is met; what is kept for showing is where it came from. */
struct draft_secret {
        enum { DRAFT_NO_SECRET, DRAFT_PLAIN, DRAFT_ENV, DRAFT_FILE } from;
        struct str name;  /* of the variable or file */
        struct str value; /* empty: it could not be read */
        struct draft_place at;
};

struct draft_header {
        struct str name;
        struct draft_secret value;
        struct draft_place at;
};

struct draft_headers {
        struct draft_header *items;
        size_t count;
};

/* Objects of an array or a map; the items' type is the table's. */
struct draft_list {
        void *items;
        size_t count;
        struct draft_place at;
};

/* The first member of every such item. */
struct draft_item {
        struct str name; /* its key in a map; empty in an array */
        struct str path; /* "routes[2]", "upstreams.app" */
        struct draft_place at;
};

struct draft_listen {
        struct draft_item item;
        struct draft_text address, upstream;
        bool is_tls, takes_proxy_protocol;
        struct conf_stream_rules rules;
};

struct draft_pass {
        struct draft_item item;
        struct conf_strs hosts;
        struct draft_text upstream;
        struct conf_stream_rules rules;
};

struct draft_token {
        struct draft_item item;
        struct draft_text name, sha256, env, file;
        struct draft_secret plain;
        struct conf_token token;
};

struct draft_certificate {
        struct draft_item item;
        struct draft_text cert, key;
};

struct draft_error_page {
        struct draft_item item;
        struct draft_text status, file;
};

struct draft_link_agent {
        struct draft_item item;
        struct draft_text identity;
};

struct draft_gateway {
        struct draft_place at;
        struct draft_text host;
        struct draft_number port;
        struct draft_list listen, passes, tokens, certificates, error_pages;
        struct draft_text tailnet_socket;
        struct draft_text redirect_http, tls_cert, tls_key, user, client_ca, client_crl, dns_servers;
        struct draft_text links_authority, links_cert, links_key;
        struct draft_list links_agents;
        struct conf_gateway gateway;
};

struct draft_client_tls {
        struct draft_text ca, server_name, cert, key;
        bool skip_verify;
};

struct draft_provider {
        struct draft_item item;
        unsigned kind;     /* 0: by the name */
        unsigned dialects; /* 0: by the kind */
        struct draft_text base_url, api_base;
        struct draft_secret api_key;
        struct draft_headers headers;
        struct draft_client_tls tls;
        struct conf_provider provider;
};

struct draft_model_target {
        struct draft_item item;
        struct draft_text provider, model;
        struct draft_number weight, priority;
};

struct draft_model {
        struct draft_item item;
        struct draft_list targets;
};

struct draft_target {
        struct draft_item item;
        struct draft_text url;
        struct conf_target target;
};

struct draft_upstream {
        struct draft_item item;
        struct draft_list targets;
        struct draft_text health_path, health_status, hash_by;
        struct draft_client_tls tls;
        struct conf_upstream upstream;
};

struct draft_header_rules {
        struct draft_headers set, add;
        struct conf_strs remove;
};

struct draft_redirect {
        struct draft_place at; /* of the object: line 0 when there is none */
        struct draft_text to;
        uint64_t status;
};

struct draft_respond {
        struct draft_place at;
        struct draft_text body, content_type;
        uint64_t status;
};

struct draft_compress {
        struct draft_place at; /* line 0: not given */
        struct conf_compress compress;
};

struct draft_cache {
        struct draft_place at; /* line 0: not given */
        struct conf_cache cache;
};

struct draft_route {
        struct draft_item item;
        struct draft_text name, path, upstream, rewrite_prefix, strip_prefix, add_prefix;
        struct draft_redirect redirect;
        struct draft_respond respond;
        unsigned access; /* a conf_scope, DRAFT_PUBLIC, or 0: not given */
        struct draft_header_rules request_headers, response_headers;
        struct draft_compress compress;
        struct draft_cache cache;
        struct conf_route route;
};

enum { DRAFT_PUBLIC = 1 << 8 };

struct draft_agent_gateway {
        struct draft_item item;
        struct conf_strs addresses;
        struct draft_text id;
};

struct draft_agent_service {
        struct draft_item item;
        struct draft_text upstream;
};

struct draft_agent {
        struct draft_place at; /* line 0: not given */
        struct draft_list gateways, services;
        struct draft_text proxy, authority, cert, key, inference, docker;
        struct draft_secret proxy_credentials;
        struct conf_strs allow, dispatch_allow, dispatch_addresses;
        struct conf_agent agent;
};

struct draft_admin {
        struct draft_text listen;
        struct conf_admin admin;
};

struct draft_log {
        struct draft_text access;
        struct conf_log log;
};

struct draft_trace {
        struct draft_text upstream, path, service;
        struct draft_headers headers;
        struct conf_trace trace;
};

struct draft_control {
        struct draft_place at;
        struct draft_text listen, public_url, organisation, state, store_url, pool4, pool6;
        struct draft_list certificates;
        struct conf_strs dispatch_allow;
        struct conf_control control;
};

struct draft {
        struct draft_gateway gateway;
        struct draft_list providers, models, upstreams, routes;
        struct draft_admin admin;
        struct draft_log log;
        struct draft_trace trace;
        struct draft_agent agent;
        struct draft_control control;
};
