/*
 * conf/check_priv.h - looks at single texts, as the table names them. Each reports by itself and gives false.
 */
#pragma once

#include "conf/table_priv.h"

conf_check_fn conf_check_name;   /* letters, digits, '.', '-', '_', at most 64 */
conf_check_fn conf_check_host;   /* a route's host: a name, "*.name", "*" or an address; becomes lower case */
conf_check_fn conf_check_method; /* an HTTP method; becomes upper case */
conf_check_fn conf_check_field;  /* a header field's name */
conf_check_fn conf_check_value;  /* a header field's value */
conf_check_fn conf_check_caller; /* of a tailnet: a login, "*@example.com", "tag:name" */
conf_check_fn conf_check_path;   /* begins with '/', canonical */
conf_check_fn conf_check_coding; /* "zstd", "br" or "gzip" */
conf_check_fn conf_check_media_type; /* with '*' for any run; becomes lower case */
conf_check_fn conf_check_not_empty;  /* and no control characters */

bool conf_name_is_valid(struct str name);
