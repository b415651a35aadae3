#include "policy/posture.h"

#include <stdio.h>
#include <stdlib.h>

#include "json/value.h"

/* ---- attributes ---- */

const struct policy_value *policy_attrs_find(const struct policy_attrs *attrs, struct str name)
{
        size_t low = 0, high = attrs->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = str_cmp(name, attrs->items[middle].name);

                if (order == 0)
                        return &attrs->items[middle].value;
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

/* Takes a run of digits or of other characters, up to a separator, off the front of *rest. */
static struct str version_part(struct str *rest)
{
        while (rest->len && (rest->ptr[0] == '.' || rest->ptr[0] == '-' || rest->ptr[0] == '_'))
                *rest = str_from(*rest, 1);
        size_t n = 0;
        bool is_digits = rest->len && ascii_is_digit(rest->ptr[0]);
        while (n < rest->len && rest->ptr[n] != '.' && rest->ptr[n] != '-' && rest->ptr[n] != '_' &&
               ascii_is_digit(rest->ptr[n]) == is_digits)
                n++;
        struct str part = str_sub(*rest, 0, n);
        *rest = str_from(*rest, n);
        return part;
}

static int digits_compare(struct str a, struct str b)
{
        while (a.len > 1 && a.ptr[0] == '0')
                a = str_from(a, 1);
        while (b.len > 1 && b.ptr[0] == '0')
                b = str_from(b, 1);
        return a.len != b.len ? (a.len < b.len ? -1 : 1) : str_cmp(a, b);
}

int policy_version_compare(struct str a, struct str b)
{
        while (a.len || b.len) {
                struct str x = version_part(&a), y = version_part(&b);
                bool x_is_number = x.len && ascii_is_digit(x.ptr[0]),
                     y_is_number = y.len && ascii_is_digit(y.ptr[0]);
                int order;

                if (x_is_number || y_is_number) {
                        /* 13.4 and 13.4.0 are one version; 13.4rc1 comes before 13.4.1 */
                        if (!x_is_number && x.len)
                                return -1;
                        if (!y_is_number && y.len)
                                return 1;
                        order = digits_compare(x.len ? x : STR("0"), y.len ? y : STR("0"));
                } else {
                        /* a trailing word is a pre-release: 1.2-beta comes before 1.2 */
                        order = x.len && y.len ? str_cmp(x, y) : x.len ? -1 : y.len ? 1 : 0;
                }
                if (order != 0)
                        return order < 0 ? -1 : 1;
        }
        return 0;
}

/* ---- judging ---- */

/* False when the two cannot be compared. */
static bool value_compare(const struct policy_value *have, const struct policy_value *want, int *order)
{
        double a, b;

        if (have->type == VALUE_BOOL || want->type == VALUE_BOOL) {
                if (have->type != want->type)
                        return false;
                *order = have->boolean == want->boolean ? 0 : have->boolean ? 1 : -1;
                return true;
        }
        if (have->type == VALUE_NUMBER && want->type == VALUE_NUMBER) {
                if (json_number_double(have->text, &a) != ERR_OK ||
                    json_number_double(want->text, &b) != ERR_OK)
                        return false;
                *order = a < b ? -1 : a > b;
                return true;
        }
        if (have->type != want->type)
                return false;
        *order = policy_version_compare(have->text, want->text);
        return true;
}

static bool value_eq(const struct policy_value *have, const struct policy_value *want)
{
        int order;

        if (have->type == VALUE_STRING && want->type == VALUE_STRING)
                return str_eq(have->text, want->text);
        return value_compare(have, want, &order) && order == 0;
}

static bool value_in(const struct policy_value *have, const struct policy_condition *c)
{
        for (size_t i = 0; i < c->values_count; i++)
                if (value_eq(have, &c->values[i]))
                        return true;
        return false;
}

bool policy_condition_holds(const struct policy_condition *c, const struct policy_attrs *attrs)
{
        const struct policy_value *have = policy_attrs_find(attrs, c->attr);
        int order;

        switch (c->op) {
        case OP_IS_SET: return have != NULL;
        case OP_NOT_SET: return have == NULL;
        case OP_IN: return have && value_in(have, c);
        case OP_NOT_IN: return have && !value_in(have, c);
        case OP_EQ: return have && value_eq(have, &c->values[0]);
        case OP_NE: return have && !value_eq(have, &c->values[0]);
        default: break;
        }
        if (!have || !value_compare(have, &c->values[0], &order))
                return false;
        switch (c->op) {
        case OP_LT: return order < 0;
        case OP_LE: return order <= 0;
        case OP_GT: return order > 0;
        default: return order >= 0;
        }
}

bool policy_posture_holds(const struct policy_posture *p, const struct policy_attrs *attrs)
{
        for (size_t i = 0; i < p->conditions_count; i++)
                if (!policy_condition_holds(&p->conditions[i], attrs))
                        return false;
        return true;
}

/* ---- parsing ---- */

static void space_skip(struct str *s)
{
        while (s->len && (s->ptr[0] == ' ' || s->ptr[0] == '\t'))
                *s = str_from(*s, 1);
}

static bool word_take(struct str *s, struct str word)
{
        space_skip(s);
        if (s->len < word.len || !str_eq_nocase(str_sub(*s, 0, word.len), word))
                return false;
        /* A word ends where letters do: "IN" is not the start of "INSIDE". */
        if (ascii_is_alpha(word.ptr[0]) && s->len > word.len && ascii_is_alpha(s->ptr[word.len]))
                return false;
        *s = str_from(*s, word.len);
        return true;
}

static bool op_take(struct str *s, enum policy_op *op)
{
        static const struct {
                struct str text;
                enum policy_op op;
        } signs[] = { { STR_INIT("=="), OP_EQ }, { STR_INIT("!="), OP_NE }, { STR_INIT("<="), OP_LE },
                      { STR_INIT(">="), OP_GE }, { STR_INIT("<"), OP_LT },  { STR_INIT(">"), OP_GT } };

        for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
                if (word_take(s, signs[i].text)) {
                        *op = signs[i].op;
                        return true;
                }
        if (word_take(s, STR("IN"))) {
                *op = OP_IN;
                return true;
        }
        if (word_take(s, STR("IS"))) {
                *op = OP_IS_SET;
                return word_take(s, STR("SET"));
        }
        if (!word_take(s, STR("NOT")))
                return false;
        *op = OP_NOT_IN;
        if (word_take(s, STR("IN")))
                return true;
        *op = OP_NOT_SET;
        return word_take(s, STR("SET"));
}

/* NULL, or why not. */
static const char *value_take(struct str *s, struct policy_value *out)
{
        space_skip(s);
        if (s->len && (s->ptr[0] == '\'' || s->ptr[0] == '"')) {
                size_t end = str_find_char(str_from(*s, 1), s->ptr[0]);

                if (end == STR_NONE)
                        return "a quoted value does not end";
                *out = (struct policy_value){ .type = VALUE_STRING, .text = str_sub(*s, 1, end) };
                *s = str_from(*s, end + 2);
                return NULL;
        }
        if (word_take(s, STR("true"))) {
                *out = (struct policy_value){ .type = VALUE_BOOL, .boolean = true };
                return NULL;
        }
        if (word_take(s, STR("false"))) {
                *out = (struct policy_value){ .type = VALUE_BOOL };
                return NULL;
        }
        size_t n = s->len && s->ptr[0] == '-';
        while (n < s->len && (ascii_is_digit(s->ptr[n]) || s->ptr[n] == '.'))
                n++;
        double number;
        struct str digits = str_sub(*s, 0, n);
        if (n == 0 || !ascii_is_digit(digits.ptr[n - 1]) || json_number_double(digits, &number) != ERR_OK)
                return "expected a value: 'text' in single quotes, a number, true or false";
        *out = (struct policy_value){ .type = VALUE_NUMBER, .text = digits };
        *s = str_from(*s, n);
        return NULL;
}

static const char *list_take(struct arena *arena, struct str *s, struct policy_condition *out)
{
        struct policy_value *values = ARENA_ARRAY(arena, struct policy_value, POLICY_CONDITION_VALUES_MAX);
        const char *why;
        size_t n = 0;

        if (!values)
                return "out of memory";
        if (!word_take(s, STR("[")))
                return "expected a list in square brackets after IN";
        do {
                if (n == POLICY_CONDITION_VALUES_MAX)
                        return "more than 256 values in one list";
                if ((why = value_take(s, &values[n++])))
                        return why;
        } while (word_take(s, STR(",")));
        out->values = values;
        out->values_count = n;
        return word_take(s, STR("]")) ? NULL : "expected ',' or ']' in the list";
}

static const char *attr_take(struct str *s, struct str *attr)
{
        size_t n = 0;

        space_skip(s);
        while (n < s->len && (ascii_is_alpha(s->ptr[n]) || ascii_is_digit(s->ptr[n]) || s->ptr[n] == ':' ||
                              s->ptr[n] == '_' || s->ptr[n] == '-' || s->ptr[n] == '.'))
                n++;
        *attr = str_sub(*s, 0, n);
        *s = str_from(*s, n);
        size_t colon = str_find_char(*attr, ':');
        if (colon == STR_NONE || colon == 0 || colon + 1 == n)
                return "expected an attribute such as node:os, ip:country or custom:tier";
        return NULL;
}

enum err policy_condition_parse(struct arena *arena, struct str text, struct policy_condition *out,
                                char why[POSTURE_WHY_MAX])
{
        struct str rest = text;
        const char *reason;

        *out = (struct policy_condition){ .text = text };
        reason = attr_take(&rest, &out->attr);
        space_skip(&rest);
        if (!reason && !rest.len) { /* "node:tsAutoUpdate" alone: it is true */
                static const struct policy_value truth = { .type = VALUE_BOOL, .boolean = true };

                out->op = OP_EQ;
                out->values = &truth;
                out->values_count = 1;
                return ERR_OK;
        }
        if (!reason && !op_take(&rest, &out->op))
                reason = "expected one of == != < <= > >= IN, NOT IN, IS SET, NOT SET";
        if (!reason && (out->op == OP_IN || out->op == OP_NOT_IN)) {
                reason = list_take(arena, &rest, out);
        } else if (!reason && out->op != OP_IS_SET && out->op != OP_NOT_SET) {
                struct policy_value *value = ARENA_NEW(arena, struct policy_value);

                reason = value ? value_take(&rest, value) : "out of memory";
                out->values = value;
                out->values_count = 1;
        }
        space_skip(&rest);
        if (!reason && rest.len)
                reason = "there is more after the condition; write each condition as an entry of its own";
        if (!reason)
                return ERR_OK;
        snprintf(why, POSTURE_WHY_MAX, "%s", reason);
        return ERR_MALFORMED;
}
