/* SPDX-License-Identifier: ISC */
/* PCRE2 with bounds and without its just-in-time compiler, which the sandbox
 * (no executable memory) would refuse anyway. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "logd/pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN_MAX 1000
#define MATCH_LIMIT 50000
#define DEPTH_LIMIT 1000
#define HEAP_LIMIT_KB 1024

struct pattern {
	pcre2_code *code;
	pcre2_match_context *context;
	pcre2_match_data *data;
};

struct pattern *
pattern_new(const char *regex, char *err, size_t cap)
{
	struct pattern *p = calloc(1, sizeof(*p));
	size_t len = strlen(regex);
	PCRE2_UCHAR text[128];
	PCRE2_SIZE at;
	int code;

	snprintf(err, cap, "no memory");
	if (p == NULL)
		return NULL;
	if (len > PATTERN_MAX) {
		snprintf(
		    err, cap, "the expression is longer than %d octets", PATTERN_MAX);
		goto fail;
	}
	p->code = pcre2_compile((PCRE2_SPTR)regex, len,
	    PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at,
	    NULL);
	if (p->code == NULL) {
		pcre2_get_error_message(code, text, sizeof(text));
		if (at > 60)
			at = 60;
		snprintf(err, cap, "not a regular expression: %s after \"%.*s\"",
		    (char *)text, (int)at, regex);
		goto fail;
	}
	if ((p->context = pcre2_match_context_create(NULL)) == NULL ||
	    (p->data = pcre2_match_data_create(1, NULL)) == NULL)
		goto fail;
	pcre2_set_match_limit(p->context, MATCH_LIMIT);
	pcre2_set_depth_limit(p->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(p->context, HEAP_LIMIT_KB);
	return p;
fail:
	pattern_free(p);
	return NULL;
}

void
pattern_free(struct pattern *p)
{
	if (p == NULL)
		return;
	pcre2_code_free(p->code);
	pcre2_match_context_free(p->context);
	pcre2_match_data_free(p->data);
	free(p);
}

int
pattern_match(struct pattern *p, const char *text, size_t len)
{
	int rc = pcre2_match(
	    p->code, (PCRE2_SPTR)text, len, 0, PCRE2_NO_JIT, p->data, p->context);

	if (rc >= 0)
		return 1;
	return rc == PCRE2_ERROR_NOMATCH ? 0 : -1;
}
