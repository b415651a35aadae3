/*
 * http/head_priv.h - for the readers of this room.
 */
#pragma once

#include "http/head.h"

/* The id of a name that is known to be a token already. */
enum http_field_id http_token_field_id(struct str token);
