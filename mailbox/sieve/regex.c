/* SPDX-License-Identifier: ISC */
/* Regular expressions; see regex.h. */
#include "mailbox/sieve/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MATCH_LIMIT 200000
#define DEPTH_LIMIT 2000
#define HEAP_LIMIT_KIB 4096

struct sieve_regex {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *context;
};

void
sieve_regex_free(void *p)
{
	struct sieve_regex *r = p;

	if (r == NULL)
		return;
	pcre2_match_data_free(r->data);
	pcre2_match_context_free(r->context);
	pcre2_code_free(r->code);
	free(r);
}

struct sieve_regex *
sieve_regex_new(
    const char *s, size_t len, enum sieve_comparator comparator, char *error, size_t cap)
{
	uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY |
			   PCRE2_NEVER_BACKSLASH_C | PCRE2_DOTALL;
	struct sieve_regex *r;
	PCRE2_UCHAR text[128];
	PCRE2_SIZE at = 0;
	int e = 0;

	if (len > SIEVE_REGEX_MAX) {
		snprintf(error, cap, "it is longer than %d octets", SIEVE_REGEX_MAX);
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL) {
		snprintf(error, cap, "no memory");
		return NULL;
	}
	if (comparator != COMPARATOR_OCTET)
		options |= PCRE2_CASELESS;
	r->code = pcre2_compile((PCRE2_SPTR)s, len, options, &e, &at, NULL);
	if (r->code == NULL) {
		pcre2_get_error_message(e, text, sizeof(text));
		snprintf(error, cap, "%s (at character %zu)", (char *)text, (size_t)at);
		free(r);
		return NULL;
	}
	r->data = pcre2_match_data_create_from_pattern(r->code, NULL);
	r->context = pcre2_match_context_create(NULL);
	if (r->data == NULL || r->context == NULL) {
		snprintf(error, cap, "no memory");
		sieve_regex_free(r);
		return NULL;
	}
	pcre2_set_match_limit(r->context, MATCH_LIMIT);
	pcre2_set_depth_limit(r->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(r->context, HEAP_LIMIT_KIB);
	return r;
}

int
sieve_regex_match(
    struct sieve_regex *r, const struct sieve_value *v, struct sieve_matches *m)
{
	PCRE2_SIZE *o;
	int n = pcre2_match(
	    r->code, (PCRE2_SPTR)v->s, v->len, 0, PCRE2_NO_JIT, r->data, r->context);

	if (n == PCRE2_ERROR_NOMATCH)
		return 0;
	if (n < 0)
		return -1;
	o = pcre2_get_ovector_pointer(r->data);
	m->n = 0;
	for (uint32_t i = 0;
	     i < pcre2_get_ovector_count(r->data) && i <= SIEVE_MATCHES_MAX; i++) {
		struct sieve_value *p = &m->v[m->n++];

		*p = (struct sieve_value){ "", 0 };
		if (i < (uint32_t)n && o[2 * i] != PCRE2_UNSET &&
		    o[2 * i + 1] >= o[2 * i])
			*p = (struct sieve_value){ v->s + o[2 * i],
				o[2 * i + 1] - o[2 * i] };
	}
	return 1;
}
