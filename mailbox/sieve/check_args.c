/* SPDX-License-Identifier: ISC */
/* Arguments that many commands share: match types, field names, addresses' parts. */
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/checker.h"
#include "mailbox/sieve/matching.h"
#include "mailbox/sieve/regex.h"

bool
check_constant(struct sieve_checker *c, const struct sieve_string *str, const char *what)
{
	if (str->pieces == NULL)
		return true;
	sieve_report_error(
	    &c->report, str->at, "%s must be a constant, without variables", what);
	return false;
}

static void
keep_regex(struct sieve_checker *c, struct sieve_string *str, uint8_t comparator)
{
	struct sieve_regex_link *l;
	struct sieve_regex *r;
	char error[160];

	if (str->pieces != NULL || str->regex != NULL)
		return;
	r = sieve_regex_new(
	    str->s, str->len, (enum sieve_comparator)comparator, error, sizeof(error));
	if (r == NULL) {
		sieve_report_error(&c->report, str->at,
		    "\"%.64s\" is no regular expression: %s", str->s, error);
		return;
	}
	if ((l = arena_alloc(c->program->arena, sizeof(*l))) == NULL) {
		c->no_memory = true;
		sieve_regex_free(r);
		return;
	}
	l->regex = str->regex = r;
	l->next = c->program->regexes;
	c->program->regexes = l;
}

static void
check_comparator(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option(node, OPT_COMPARATOR);
	const struct sieve_string *str;
	int k;

	node->comparator = COMPARATOR_CASEMAP;
	if (o == NULL)
		return;
	str = &o->arg->v[0];
	if (!check_constant(c, str, "a comparator"))
		return;
	k = sieve_comparator_find(str->s, str->len);
	if (k == -1)
		sieve_report_error(
		    &c->report, str->at, "unknown comparator \"%.64s\"", str->s);
	else if (k == COMPARATOR_NUMERIC && !CHECKER_HAS(c, NUMERIC))
		/* That of Unicode goes without, as scripts in use rely on. */
		sieve_report_error(&c->report, str->at,
		    "comparator \"%s\" is used without require \"comparator-%s\"", str->s,
		    str->s);
	else
		node->comparator = (uint8_t)k;
}

void
check_match(struct sieve_checker *c, struct sieve_node *node, struct sieve_arg *keys)
{
	const struct sieve_option *o = sieve_option_of(node, GROUP_MATCH);

	check_comparator(c, node);
	node->match = o == NULL                     ? MATCH_IS
		      : o->rule->id == OPT_CONTAINS ? MATCH_CONTAINS
		      : o->rule->id == OPT_MATCHES  ? MATCH_MATCHES
		      : o->rule->id == OPT_REGEX    ? MATCH_REGEX
		      : o->rule->id == OPT_COUNT    ? MATCH_COUNT
		      : o->rule->id == OPT_VALUE    ? MATCH_VALUE
						    : MATCH_IS;
	if (node->match == MATCH_COUNT || node->match == MATCH_VALUE) {
		const struct sieve_string *str = &o->arg->v[0];
		int r = sieve_relation_find(str->s, str->len);

		if (str->pieces != NULL || r == -1) {
			sieve_report_error(&c->report, str->at,
			    "the relation of :%s is \"gt\", \"ge\", \"lt\", \"le\", "
			    "\"eq\" or \"ne\"",
			    o->rule->name);
			return;
		}
		node->relation = (uint8_t)r;
	}
	if (node->comparator == COMPARATOR_NUMERIC &&
	    (node->match == MATCH_CONTAINS || node->match == MATCH_MATCHES ||
		node->match == MATCH_REGEX))
		sieve_report_error(&c->report, node->at,
		    "comparator \"i;ascii-numeric\" compares numbers, so it cannot go "
		    "with :%s",
		    o->rule->name);
	if (node->match == MATCH_REGEX && keys != NULL)
		for (size_t i = 0; i < keys->n; i++)
			keep_regex(c, &keys->v[i], node->comparator);
}

/* RFC 5322, 3.6.8, and UTF-8 as in RFC 6532 it is not. */
bool
sieve_field_name_valid(const char *s, size_t len)
{
	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] < 33 || s[i] > 126 || s[i] == ':')
			return false;
	return true;
}

void
check_field_names(struct sieve_checker *c, const struct sieve_arg *a, bool warn)
{
	for (size_t i = 0; a != NULL && i < a->n; i++) {
		const struct sieve_string *str = &a->v[i];

		if (str->pieces != NULL || sieve_field_name_valid(str->s, str->len))
			continue;
		if (warn)
			sieve_report_warning(&c->report, str->at,
			    "\"%.64s\" can be no name of a header field", str->s);
		else
			sieve_report_error(&c->report, str->at,
			    "\"%.64s\" can be no name of a header field", str->s);
	}
}

bool
sieve_option_needs(struct sieve_checker *c, const struct sieve_node *node,
    enum sieve_option_id id, enum sieve_option_id needed)
{
	static const struct {
		enum sieve_option_id id;
		const char *name;
	} names[] = { { OPT_MIME, "mime" }, { OPT_INDEX, "index" }, { OPT_FCC, "fcc" } };
	const struct sieve_option *o = sieve_option(node, id);

	if (o == NULL || sieve_option(node, needed) != NULL)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].id == needed)
			sieve_report_error(&c->report, o->tag->at,
			    ":%s of %s goes with :%s only", o->rule->name, node->name,
			    names[i].name);
	return false;
}

/* :index counts from one (RFC 5260, 6). */
static void
check_index(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option(node, OPT_INDEX);

	sieve_option_needs(c, node, OPT_LAST, OPT_INDEX);
	if (o != NULL && o->arg->number == 0)
		sieve_report_error(&c->report, o->arg->at, ":index counts from 1");
}

static void
check_mime(struct sieve_checker *c, struct sieve_node *node)
{
	sieve_option_needs(c, node, OPT_ANYCHILD, OPT_MIME);
	sieve_option_needs(c, node, OPT_TYPE, OPT_MIME);
	sieve_option_needs(c, node, OPT_SUBTYPE, OPT_MIME);
	sieve_option_needs(c, node, OPT_CONTENTTYPE, OPT_MIME);
	sieve_option_needs(c, node, OPT_PARAM, OPT_MIME);
}

/* The keys are the last argument without a tag. */
void
check_keys(struct sieve_checker *c, struct sieve_node *node)
{
	check_match(c, node, node->positional[strlen(node->rule->args) - 1]);
}

void
check_hasflag(struct sieve_checker *c, struct sieve_node *node)
{
	check_keys(c, node);
	if (node->positional[0] != NULL && !CHECKER_HAS(c, VARIABLES))
		sieve_report_error(&c->report, node->positional[0]->at,
		    "hasflag looks into variables only with require \"variables\"");
	for (size_t i = 0; node->positional[0] != NULL && i < node->positional[0]->n; i++)
		if (node->positional[0]->v[i].pieces == NULL &&
		    !sieve_variable_name_valid(
			node->positional[0]->v[i].s, node->positional[0]->v[i].len) &&
		    memchr(node->positional[0]->v[i].s, '.',
			node->positional[0]->v[i].len) == NULL)
			sieve_report_error(&c->report, node->positional[0]->v[i].at,
			    "\"%.64s\" is no name of a variable",
			    node->positional[0]->v[i].s);
	if (node->positional[0] != NULL)
		for (size_t i = 0; i < node->positional[0]->n; i++) {
			bool global;

			if (sieve_variable_name_valid(node->positional[0]->v[i].s,
				node->positional[0]->v[i].len))
				(void)check_variable(c, node->positional[0]->v[i].at,
				    node->positional[0]->v[i].s,
				    node->positional[0]->v[i].len, &global);
		}
}

/* Fields that hold addresses (RFC 5228, 5.1 and those in use). */
static bool
is_address_field(const char *s, size_t len)
{
	static const char *const names[] = { "from", "to", "cc", "bcc", "sender",
		"reply-to", "resent-from", "resent-to", "resent-cc", "resent-bcc",
		"resent-sender", "resent-reply-to", "delivered-to", "errors-to",
		"return-path", "disposition-notification-to", "return-receipt-to",
		"mail-followup-to", "mail-reply-to", "apparently-to", "for-approval",
		"for-handling", "for-comment", "read-receipt-to", "x-confirm-reading-to",
		"return-receipt-requested", "registered-mail-reply-requested-by",
		"abuse-reports-to", "x-complaints-to", "x-report-abuse-to", "x-beenthere",
		"x-admin", "x-original-from", "x-original-to", "x-original-sender",
		"x-delivered-to", "x-envelope-to", "x-envelope-from", "envelope-to" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (ascii_equal(s, len, names[i]))
			return true;
	return false;
}

void
check_address(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_arg *a = node->positional[0];

	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].pieces == NULL && !is_address_field(a->v[i].s, a->v[i].len))
			sieve_report_error(&c->report, a->v[i].at,
			    "field \"%.64s\" holds no addresses, so address cannot test "
			    "it",
			    a->v[i].s);
	check_index(c, node);
	check_mime(c, node);
	check_keys(c, node);
}

void
check_envelope(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_arg *a = node->positional[0];

	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].pieces == NULL &&
		    !ascii_equal(a->v[i].s, a->v[i].len, "from") &&
		    !ascii_equal(a->v[i].s, a->v[i].len, "to") &&
		    !ascii_equal(a->v[i].s, a->v[i].len, "auth"))
			sieve_report_error(&c->report, a->v[i].at,
			    "the envelope has \"from\", \"to\" and \"auth\", but no "
			    "\"%.64s\"",
			    a->v[i].s);
	check_keys(c, node);
}

void
check_exists(struct sieve_checker *c, struct sieve_node *node)
{
	check_field_names(c, node->positional[0], true);
	check_mime(c, node);
}

void
check_header(struct sieve_checker *c, struct sieve_node *node)
{
	check_field_names(c, node->positional[0], true);
	check_index(c, node);
	check_mime(c, node);
	check_keys(c, node);
}

void
check_size(struct sieve_checker *c, struct sieve_node *node)
{
	if (sieve_option_of(node, GROUP_SIZE) == NULL)
		sieve_report_error(
		    &c->report, node->at, "size needs one of :over and :under");
}

void
check_body(struct sieve_checker *c, struct sieve_node *node)
{
	check_keys(c, node);
}

static bool
zone_valid(const char *s, size_t len)
{
	if (len != 5 || (s[0] != '+' && s[0] != '-'))
		return false;
	for (size_t i = 1; i < 5; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

/* RFC 5260, 4.2: what is not known is no error, but surely a mistake. */
void
check_date(struct sieve_checker *c, struct sieve_node *node)
{
	static const char *const parts[] = { "year", "month", "day", "date", "julian",
		"hour", "minute", "second", "time", "iso8601", "std11", "zone",
		"weekday" };
	const struct sieve_option *zone = sieve_option(node, OPT_ZONE);
	size_t at = node->rule->op == OP_DATE ? 1 : 0;
	const struct sieve_string *part = &node->positional[at]->v[0];
	bool known = part->pieces != NULL;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		known = known || ascii_equal(part->s, part->len, parts[i]);
	if (!known)
		sieve_report_warning(
		    &c->report, part->at, "a date has no part \"%.64s\"", part->s);
	if (zone != NULL && zone->arg->v[0].pieces == NULL &&
	    !zone_valid(zone->arg->v[0].s, zone->arg->v[0].len))
		sieve_report_warning(&c->report, zone->arg->v[0].at,
		    "\"%.64s\" is no time zone such as \"+0100\"", zone->arg->v[0].s);
	if (at == 1) {
		check_field_names(c, node->positional[0], true);
		check_index(c, node);
	}
	check_keys(c, node);
}
