/* SPDX-License-Identifier: ISC */
/* What commands ask of their arguments beyond their kind. */
#include <ctype.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/addresses.h"
#include "mailbox/sieve/checker.h"
#include "mailbox/sieve/mailto.h"

static void
check_one_address(
    struct sieve_checker *c, const struct sieve_string *str, const char *what)
{
	const char *why;

	if (str->pieces != NULL)
		return;
	if (sieve_mailbox_parse(c->program->arena, str->s, str->len, &why) == NULL)
		sieve_report_error(&c->report, str->at, "%s \"%.64s\" is no address: %s",
		    what, str->s, why);
}

static void
check_mailbox_name(struct sieve_checker *c, const struct sieve_string *str)
{
	if (str->pieces == NULL && !utf8_valid(str->s, str->len))
		sieve_report_error(
		    &c->report, str->at, "the name of the mailbox is not UTF-8");
}

void
check_flags(struct sieve_checker *c, struct sieve_node *node)
{
	(void)c;
	(void)node;
}

void
check_redirect(struct sieve_checker *c, struct sieve_node *node)
{
	check_one_address(c, &node->positional[0]->v[0], "redirect to");
}

/* RFC 8579, 4.1 */
static void
check_special_use(struct sieve_checker *c, const struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option(node, OPT_SPECIALUSE);
	const struct sieve_string *str;

	if (o == NULL)
		return;
	str = &o->arg->v[0];
	if (str->pieces == NULL && (str->len < 2 || str->s[0] != '\\'))
		sieve_report_error(&c->report, str->at,
		    "\"%.64s\" is no special use such as \"\\\\Junk\"", str->s);
}

void
check_fileinto(struct sieve_checker *c, struct sieve_node *node)
{
	check_mailbox_name(c, &node->positional[0]->v[0]);
	check_special_use(c, node);
}

void
check_set(struct sieve_checker *c, struct sieve_node *node)
{
	(void)check_variable_argument(c, node, &node->positional[0]->v[0]);
}

static void
check_fcc(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option(node, OPT_FCC);

	sieve_option_needs(c, node, OPT_CREATE, OPT_FCC);
	sieve_option_needs(c, node, OPT_SPECIALUSE, OPT_FCC);
	sieve_option_needs(c, node, OPT_FLAGS, OPT_FCC);
	check_special_use(c, node);
	if (o != NULL)
		check_mailbox_name(c, &o->arg->v[0]);
}

void
check_vacation(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_option *o;

	if ((o = sieve_option(node, OPT_FROM)) != NULL)
		check_one_address(c, &o->arg->v[0], "vacation from");
	if ((o = sieve_option(node, OPT_DAYS)) != NULL && o->arg->number == 0)
		sieve_report_warning(&c->report, o->arg->at, "0 days are taken as 1");
	check_fcc(c, node);
}

void
check_setflag(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_arg *a = node->positional[0];

	if (a == NULL)
		return;
	if (!CHECKER_HAS(c, VARIABLES)) {
		sieve_report_error(&c->report, a->at,
		    "%s sets a variable only with require \"variables\"", node->name);
		return;
	}
	(void)check_variable_argument(c, node, &node->positional[0]->v[0]);
}

void
check_addheader(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_string *value = &node->positional[1]->v[0];

	check_field_names(c, node->positional[0], false);
	if (value->pieces == NULL && memchr(value->s, '\0', value->len) != NULL)
		sieve_report_error(
		    &c->report, value->at, "the value of the field has a NUL");
}

void
check_deleteheader(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option(node, OPT_INDEX);

	check_field_names(c, node->positional[0], false);
	sieve_option_needs(c, node, OPT_LAST, OPT_INDEX);
	if (o != NULL && o->arg->number == 0)
		sieve_report_error(&c->report, o->arg->at, ":index counts from 1");
	check_match(c, node, node->positional[1]);
}

/* name "=" value, RFC 5435, 3.6 */
static bool
is_notify_option(const char *s, size_t len)
{
	const char *eq = memchr(s, '=', len);

	if (eq == NULL || eq == s || !isalnum((unsigned char)s[0]))
		return false;
	for (const char *p = s; p < eq; p++)
		if (!isalnum((unsigned char)*p) && memchr(".-_", *p, 3) == NULL)
			return false;
	for (const char *p = eq + 1; p < s + len; p++)
		if (*p == '\0' || *p == '\r' || *p == '\n')
			return false;
	return true;
}

void
check_notify(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_string *method = &node->positional[0]->v[0], *str;
	const struct sieve_option *o;
	struct sieve_mailto m;
	const char *why = NULL;

	if (method->pieces == NULL &&
	    sieve_mailto_parse(c->program->arena, method->s, method->len, &m, &why) == -1)
		sieve_report_error(&c->report, method->at,
		    "\"%.64s\" is no method to notify by: %s", method->s, why);
	else if (method->pieces == NULL && m.n_to + m.n_cc + m.n_bcc == 0)
		sieve_report_warning(
		    &c->report, method->at, "the notice has no recipient");
	if ((o = sieve_option(node, OPT_IMPORTANCE)) != NULL) {
		str = &o->arg->v[0];
		if (str->pieces == NULL &&
		    (str->len != 1 || str->s[0] < '1' || str->s[0] > '3'))
			sieve_report_error(
			    &c->report, str->at, "importance is \"1\", \"2\" or \"3\"");
	}
	if ((o = sieve_option(node, OPT_FROM)) != NULL)
		check_one_address(c, &o->arg->v[0], "notify from");
	if ((o = sieve_option(node, OPT_OPTIONS)) != NULL)
		for (size_t i = 0; i < o->arg->n; i++) {
			str = &o->arg->v[i];
			if (str->pieces == NULL && !is_notify_option(str->s, str->len))
				sieve_report_error(&c->report, str->at,
				    "an option has the form name=value");
		}
	check_fcc(c, node);
}

void
check_foreverypart(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option(node, OPT_NAME);

	if (o != NULL)
		(void)check_constant(c, &o->arg->v[0], "the name of a loop");
}

void
check_break(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option(node, OPT_NAME), *name;

	if (c->n_loops == 0) {
		sieve_report_error(
		    &c->report, node->at, "break stands within foreverypart only");
		return;
	}
	if (o == NULL) {
		node->loop = c->loops[c->n_loops - 1];
		return;
	}
	for (unsigned int i = c->n_loops; i-- > 0;) {
		name = sieve_option(c->loops[i], OPT_NAME);
		if (name == NULL || name->arg->v[0].len != o->arg->v[0].len ||
		    memcmp(name->arg->v[0].s, o->arg->v[0].s, o->arg->v[0].len) != 0)
			continue;
		node->loop = c->loops[i];
		return;
	}
	sieve_report_error(&c->report, node->at,
	    "no foreverypart around this break has the name \"%.64s\"", o->arg->v[0].s);
}

void
check_extracttext(struct sieve_checker *c, struct sieve_node *node)
{
	if (!CHECKER_HAS(c, VARIABLES))
		sieve_report_error(
		    &c->report, node->at, "extracttext needs require \"variables\"");
	else
		(void)check_variable_argument(c, node, &node->positional[0]->v[0]);
	if (c->n_loops == 0)
		sieve_report_error(
		    &c->report, node->at, "extracttext stands within foreverypart only");
}

void
check_include(struct sieve_checker *c, struct sieve_node *node)
{
	struct sieve_string *str = &node->positional[0]->v[0];
	enum sieve_location where =
	    sieve_option(node, OPT_GLOBAL) != NULL ? SIEVE_GLOBAL : SIEVE_PERSONAL;

	if (!check_constant(c, str, "the name of an included script"))
		return;
	if (str->len == 0 || str->len > SIEVE_NAME_MAX ||
	    memchr(str->s, '/', str->len) != NULL ||
	    memchr(str->s, '\0', str->len) != NULL || str->s[0] == '.' ||
	    !utf8_valid(str->s, str->len)) {
		sieve_report_error(
		    &c->report, str->at, "\"%.64s\" can be no name of a script", str->s);
		return;
	}
	node->unit = sieve_check_include(c, node, where, str->s);
}

void
check_global(struct sieve_checker *c, struct sieve_node *node)
{
	if (!CHECKER_HAS(c, VARIABLES)) {
		sieve_report_error(
		    &c->report, node->at, "global needs require \"variables\"");
		return;
	}
	for (size_t i = 0; i < node->positional[0]->n; i++)
		check_declare_global(c, &node->positional[0]->v[i]);
}

/* Known as soon as it is compiled; what is there counts as required from here on. */
void
check_ihave(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_arg *a = node->positional[0];
	uint64_t found = 0;

	node->constant = 1;
	node->ihave = true;
	for (size_t i = 0; i < a->n; i++) {
		int e;

		if (!check_constant(c, &a->v[i], "an extension"))
			return;
		e = sieve_extension_find(a->v[i].s, a->v[i].len);
		if (e == -1 || (c->env->without & EXT_BIT(e)) != 0)
			node->constant = 0;
		else
			found |= sieve_extension_implies((enum sieve_extension)e);
	}
	if (node->constant == 1) {
		c->extensions |= found;
		c->unit->extensions |= found;
		c->program->extensions |= found;
	}
}

void
check_mailboxes(struct sieve_checker *c, struct sieve_node *node)
{
	/* A test of what cannot be is false, no error (RFC 5490, 3.1). */
	for (size_t i = 0; i < node->positional[0]->n; i++) {
		const struct sieve_string *str = &node->positional[0]->v[i];

		if (str->pieces == NULL && !utf8_valid(str->s, str->len))
			sieve_report_warning(
			    &c->report, str->at, "the name of the mailbox is not UTF-8");
	}
}

void
check_specialuse_exists(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_arg *a = node->positional[1];

	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].pieces == NULL && (a->v[i].len < 2 || a->v[i].s[0] != '\\'))
			sieve_report_error(&c->report, a->v[i].at,
			    "\"%.64s\" is no special use such as \"\\\\Junk\"",
			    a->v[i].s);
}

void
check_duplicate(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option(node, OPT_HEADER);

	if (o != NULL)
		check_field_names(c, o->arg, false);
}
