/* SPDX-License-Identifier: ISC */
/* Rules on headers, addresses and text; see rules.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "filterd/rules.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "common/proto/charset.h"
#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "filterd/text.h"

#define MATCH_LIMIT 200000
#define DEPTH_LIMIT 2000
#define HEAP_LIMIT_KIB 16384
#define VALUE_MAX 16384

struct rule {
	struct msg_conf_filter_rule conf;
	pcre2_code *code;
	pcre2_match_data *data;
};

struct rules {
	struct rule *rule;
	size_t n;
	int need_text;
	pcre2_match_context *context;
};

struct rules *
rules_new(void)
{
	struct rules *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	if ((r->context = pcre2_match_context_create(NULL)) == NULL) {
		free(r);
		return NULL;
	}
	pcre2_set_match_limit(r->context, MATCH_LIMIT);
	pcre2_set_depth_limit(r->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(r->context, HEAP_LIMIT_KIB);
	return r;
}

void
rules_free(struct rules *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n; i++) {
		pcre2_match_data_free(r->rule[i].data);
		pcre2_code_free(r->rule[i].code);
	}
	pcre2_match_context_free(r->context);
	free(r->rule);
	free(r);
}

size_t
rules_count(const struct rules *r)
{
	return r->n;
}

/* A line that may be added: Field: value, nothing that could end the header. */
static int
header_line_valid(const char *line)
{
	const char *colon = strchr(line, ':');

	if (colon == NULL || colon == line)
		return 0;
	for (const char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || (p < colon && *p == ' '))
			return 0;
	return 1;
}

int
rules_add(struct rules *r, const struct msg_conf_filter_rule *conf, char *why, size_t cap)
{
	struct rule *bigger, *rule;
	PCRE2_SIZE offset;
	int err;

	if (r->n == RULES_MAX) {
		strlcpy(why, "too many rules", cap);
		return -1;
	}
	if (conf->field < RULE_HEADER || conf->field > RULE_BODY ||
	    conf->action < VERDICT_ACCEPT || conf->action > VERDICT_DEFER) {
		strlcpy(why, "unknown field or action", cap);
		return -1;
	}
	if (conf->action == VERDICT_ACCEPT && conf->text[0] != '\0' &&
	    !header_line_valid(conf->text)) {
		strlcpy(why, "not a header line", cap);
		return -1;
	}
	if ((bigger = reallocarray(r->rule, r->n + 1, sizeof(*bigger))) == NULL) {
		strlcpy(why, "no memory", cap);
		return -1;
	}
	r->rule = bigger;
	rule = &r->rule[r->n];
	rule->conf = *conf;
	rule->code = pcre2_compile((PCRE2_SPTR)conf->pattern, PCRE2_ZERO_TERMINATED,
	    PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
	    &err, &offset, NULL);
	if (rule->code == NULL) {
		PCRE2_UCHAR text[120];

		pcre2_get_error_message(err, text, sizeof(text));
		snprintf(why, cap, "%s at character %zu", (char *)text, (size_t)offset);
		return -1;
	}
	if ((rule->data = pcre2_match_data_create_from_pattern(rule->code, NULL)) ==
	    NULL) {
		pcre2_code_free(rule->code);
		strlcpy(why, "no memory", cap);
		return -1;
	}
	r->need_text |= conf->field == RULE_BODY;
	r->n++;
	return 0;
}

static int
matches(const struct rules *r, const struct rule *rule, const char *s, size_t len)
{
	int n = pcre2_match(
	    rule->code, (PCRE2_SPTR)s, len, 0, PCRE2_NO_JIT, rule->data, r->context);

	if (n < 0 && n != PCRE2_ERROR_NOMATCH && n != PCRE2_ERROR_PARTIAL)
		log_fact(LOG_FILTER, LOGL_WARN, "rule-gave-up",
		    KS("rule", rule->conf.name), KU("error", -n));
	return n >= 0;
}

/* "^" does not match before octets that are no UTF-8, so that with one of them a
 * sender could slip past a rule: they are replaced first. */
static int
fact_matches(const struct rules *r, const struct rule *rule, const char *s, size_t len)
{
	char clean[VALUE_MAX];
	size_t clean_len;

	if (utf8_valid(s, len))
		return matches(r, rule, s, len);
	charset_to_utf8("utf-8", 5, s, len, clean, sizeof(clean), &clean_len);
	return matches(r, rule, clean, clean_len);
}

static int
header_matches(const struct rules *r, const struct rule *rule, const struct rule_facts *f)
{
	struct header_scan scan;
	struct header_field field;
	char value[VALUE_MAX];

	header_scan_init(&scan, f->message, f->len, true);
	while (header_next(&scan, &field) == HEADER_FIELD) {
		size_t len;

		if (!header_name_is(&field, rule->conf.header))
			continue;
		len = header_decode(field.value, field.value_len, value, sizeof(value));
		if (matches(r, rule, value, len))
			return 1;
	}
	return 0;
}

static int
list_matches(const struct rules *r, const struct rule *rule, const char *list)
{
	while (*list != '\0') {
		size_t len = strcspn(list, "\n");

		if (fact_matches(r, rule, list, len))
			return 1;
		list += len + (list[len] == '\n');
	}
	return 0;
}

static int
rule_matches(const struct rules *r, const struct rule *rule, const struct rule_facts *f,
    const char *text, size_t text_len)
{
	switch ((enum rule_field)rule->conf.field) {
	case RULE_HEADER:
		return header_matches(r, rule, f);
	case RULE_SENDER:
		return fact_matches(r, rule, f->sender, strlen(f->sender));
	case RULE_RECIPIENT:
		return list_matches(r, rule, f->rcpts);
	case RULE_CLIENT:
		return fact_matches(r, rule, f->client, strlen(f->client)) ||
		       fact_matches(r, rule, f->client_name, strlen(f->client_name));
	case RULE_HELO:
		return fact_matches(r, rule, f->helo, strlen(f->helo));
	case RULE_BODY:
		return text != NULL && matches(r, rule, text, text_len);
	}
	return 0;
}

void
judgement_init(struct judgement *j)
{
	memset(j, 0, sizeof(*j));
	j->action = VERDICT_ACCEPT;
}

int
verdict_stricter(enum verdict a, enum verdict b)
{
	static const int rank[] = { 0, [VERDICT_ACCEPT] = 1, [VERDICT_JUNK] = 2,
		[VERDICT_QUARANTINE] = 3, [VERDICT_DEFER] = 4, [VERDICT_REJECT] = 5 };

	return rank[a] > rank[b];
}

void
judgement_merge(struct judgement *j, const struct judgement *other)
{
	if (verdict_stricter(other->action, j->action)) {
		j->action = other->action;
		j->code = other->code;
		strlcpy(j->enhanced, other->enhanced, sizeof(j->enhanced));
		strlcpy(j->text, other->text, sizeof(j->text));
		strlcpy(j->judge, other->judge, sizeof(j->judge));
	}
	if (j->headers_len + other->headers_len <= sizeof(j->headers)) {
		memcpy(j->headers + j->headers_len, other->headers, other->headers_len);
		j->headers_len += other->headers_len;
	}
}

static void
rule_says(const struct rule *rule, struct judgement *j)
{
	const struct msg_conf_filter_rule *c = &rule->conf;

	judgement_init(j);
	j->action = (enum verdict)c->action;
	snprintf(j->judge, sizeof(j->judge), "rule:%.50s", c->name);
	switch (j->action) {
	case VERDICT_REJECT:
		j->code = 550;
		strlcpy(j->enhanced, "5.7.1", sizeof(j->enhanced));
		strlcpy(j->text,
		    c->text[0] != '\0' ? c->text
				       : "message refused by a rule of this site",
		    sizeof(j->text));
		break;
	case VERDICT_DEFER:
		j->code = 451;
		strlcpy(j->enhanced, "4.7.1", sizeof(j->enhanced));
		strlcpy(j->text,
		    c->text[0] != '\0' ? c->text : "not now, try again later",
		    sizeof(j->text));
		break;
	case VERDICT_ACCEPT:
		if (c->text[0] != '\0')
			j->headers_len = (size_t)snprintf(
			    j->headers, sizeof(j->headers), "%s\r\n", c->text);
		break;
	case VERDICT_JUNK:
	case VERDICT_QUARANTINE:
		break;
	}
}

void
rules_judge(const struct rules *r, const struct rule_facts *f, struct judgement *j)
{
	struct judgement *one = malloc(sizeof(*one));
	char *text = NULL;
	size_t text_len = 0;

	judgement_init(j);
	if (r->need_text)
		text = filter_text(f->message, f->len, FILTER_TEXT_MAX, &text_len);
	for (size_t i = 0; one != NULL && i < r->n; i++)
		if (rule_matches(r, &r->rule[i], f, text, text_len)) {
			rule_says(&r->rule[i], one);
			judgement_merge(j, one);
		}
	if (one == NULL || (r->need_text && text == NULL)) {
		/* Not judged is not accepted. */
		j->action = VERDICT_DEFER;
		j->code = 451;
		strlcpy(j->enhanced, "4.3.0", sizeof(j->enhanced));
		strlcpy(j->text, "no memory to check the message", sizeof(j->text));
	}
	free(text);
	free(one);
}
