/* SPDX-License-Identifier: ISC */
/*
 * fife.conf: filter { }, the judges.
 *	rule NAME when header FIELD|sender|recipient|client|helo|body matches "PCRE"
 *	    then accept|junk|quarantine|reject ["TEXT"]|defer ["TEXT"]|add-header "F: v"
 */
#include "common/conf/conf_int.h"

#include <string.h>

#include "common/compat/compat.h"

static const struct conf_choice on_errors[] = {
	{ "defer", VERDICT_DEFER },
	{ "accept", VERDICT_ACCEPT },
	{ NULL, 0 },
};

/* The base is struct conf: the settings are two daemons'. */
static const struct conf_setting settings[] = {
	{ "antivirus", CONF_YES, CONF_AT(conf, filter.antivirus), .initial = "no" },
	{ "signatures", CONF_PATH, CONF_AT(conf, scan.signatures),
	    .initial = "/var/lib/clamav" },
	{ "scan-size-max", CONF_SIZE, CONF_AT(conf, filter.scan_size_max), 1024,
	    2000ull << 20, "100m" },
	{ "timeout", CONF_MS, CONF_AT(conf, filter.timeout_ms), 1000, 3600000, "2m" },
	{ "on-error", CONF_CHOICE, CONF_AT(conf, filter.on_error), .initial = "defer",
	    .choices = on_errors },
	{ NULL },
};

static const struct conf_choice fields[] = {
	{ "header", RULE_HEADER },
	{ "sender", RULE_SENDER },
	{ "recipient", RULE_RECIPIENT },
	{ "client", RULE_CLIENT },
	{ "helo", RULE_HELO },
	{ "body", RULE_BODY },
	{ NULL, 0 },
};

/* add-header is an accept that has text: the line to add. */
#define ADD_HEADER 100

static const struct conf_choice actions[] = {
	{ "accept", VERDICT_ACCEPT },
	{ "junk", VERDICT_JUNK },
	{ "quarantine", VERDICT_QUARANTINE },
	{ "reject", VERDICT_REJECT },
	{ "defer", VERDICT_DEFER },
	{ "add-header", ADD_HEADER },
	{ NULL, 0 },
};

static int
is_field_name(const char *s, size_t len)
{
	if (len == 0)
		return 0;
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == ':')
			return 0;
	return 1;
}

static int
rule(struct conf_parser *p, void *base)
{
	struct conf *c = base;
	struct msg_conf_filter_rule *r;
	struct conf_rule *cr;
	const char *colon;

	if (c->n_rules == CONF_RULES_MAX)
		return conf_error(
		    p, "too many rules, expected at most %d", CONF_RULES_MAX);
	if ((cr = conf_grow(&c->rules, &c->n_rules, sizeof(*cr))) == NULL)
		return conf_error(p, "no memory, expected some");
	cr->line = p->lex.line;
	r = &cr->m;
	for (size_t i = 0; i + 1 < c->n_rules; i++)
		if (strcmp(c->rules[i].m.name, p->lex.text) == 0)
			return conf_error(p,
			    "rule \"%s\" is there already on line %u, expected another "
			    "name",
			    c->rules[i].m.name, c->rules[i].line);
	if (conf_get_text(p, "the name of a rule", r->name, sizeof(r->name)) == -1 ||
	    conf_expect(p, "when") == -1 ||
	    conf_get_choice(p, "a field", fields, &r->field) == -1)
		return -1;
	if (r->field == RULE_HEADER) {
		if ((p->lex.token != TOK_WORD && p->lex.token != TOK_STRING) ||
		    !is_field_name(p->lex.text, strlen(p->lex.text)))
			return conf_unexpected(p, "the name of a header field");
		if (conf_get_text(p, "a header field", r->header, sizeof(r->header)) ==
		    -1)
			return -1;
	}
	if (conf_expect(p, "matches") == -1)
		return -1;
	if (p->lex.token != TOK_STRING)
		return conf_unexpected(p, "a pattern in quotes");
	if (conf_get_text(p, "a pattern", r->pattern, sizeof(r->pattern)) == -1 ||
	    conf_expect(p, "then") == -1 ||
	    conf_get_choice(p, "an action", actions, &r->action) == -1)
		return -1;
	if (r->action == ADD_HEADER) {
		if (p->lex.token != TOK_STRING)
			return conf_unexpected(p, "a header field in quotes");
		colon = strchr(p->lex.text, ':');
		if (colon == NULL ||
		    !is_field_name(p->lex.text, (size_t)(colon - p->lex.text)))
			return conf_unexpected(
			    p, "a header field such as \"X-Note: seen\"");
		r->action = VERDICT_ACCEPT;
		return conf_get_text(p, "a header field", r->text, sizeof(r->text));
	}
	if (p->lex.token == TOK_STRING) {
		if (r->action != VERDICT_REJECT && r->action != VERDICT_DEFER)
			return conf_unexpected(p, "no text with this action");
		return conf_get_text(p, "text", r->text, sizeof(r->text));
	}
	return 0;
}

static const struct conf_special specials[] = { { "rule", rule }, { NULL, NULL } };

static const char *
word_of(const struct conf_choice *c, uint8_t value)
{
	for (; c->word != NULL; c++)
		if (c->value == value)
			return c->word;
	return "unknown";
}

static void
print(const struct conf *c, FILE *f)
{
	for (size_t i = 0; i < c->n_rules; i++) {
		const struct msg_conf_filter_rule *r = &c->rules[i].m;
		int adds = r->action == VERDICT_ACCEPT && r->text[0] != '\0';

		fputs("    rule ", f);
		conf_print_quoted(f, r->name);
		fprintf(f, " when %s ", word_of(fields, r->field));
		if (r->field == RULE_HEADER)
			fprintf(f, "%s ", r->header);
		fputs("matches ", f);
		conf_print_quoted(f, r->pattern);
		fprintf(f, " then %s", word_of(actions, adds ? ADD_HEADER : r->action));
		if (r->text[0] != '\0') {
			fputc(' ', f);
			conf_print_quoted(f, r->text);
		}
		fputc('\n', f);
	}
}

const struct conf_section conf_section_filter = { "filter", settings, specials, print,
	0 };
