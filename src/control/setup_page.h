/*
 * control/setup_page.h - the page behind the owner's one-time link. What follows the link's # never leaves the browser but in
 * the body of the one request that uses it.
 */
#pragma once

#include "proxy/route.h"

extern const struct handler setup_page_handler;
